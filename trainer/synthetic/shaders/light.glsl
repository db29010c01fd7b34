// Light and noise, shared by every material. Colours are linear until `finish`.
in vec3 world;
in vec3 world_normal;
in vec3 canon;
in vec2 texture_uv;
in vec3 eye_axis;
in vec3 light_place;
out vec4 colour;

uniform vec3 camera;
uniform vec3 key_direction, key_colour;
uniform vec3 fill_direction, fill_colour;
uniform vec3 sky_colour, ground_colour;
uniform vec3 screen_place, screen_colour;
uniform float shadow_strength;
uniform sampler2DShadow shadow_map;
uniform float seed;

float hash(vec3 p) { p = fract(p * .1031); p += dot(p, p.yzx + 33.33); return fract((p.x + p.y) * p.z); }

float noise(vec3 p) {
    vec3 i = floor(p), f = fract(p);
    f = f * f * (3. - 2. * f);
    return mix(
        mix(mix(hash(i), hash(i + vec3(1, 0, 0)), f.x), mix(hash(i + vec3(0, 1, 0)), hash(i + vec3(1, 1, 0)), f.x), f.y),
        mix(mix(hash(i + vec3(0, 0, 1)), hash(i + vec3(1, 0, 1)), f.x),
            mix(hash(i + vec3(0, 1, 1)), hash(i + vec3(1, 1, 1)), f.x), f.y), f.z);
}

float cloud(vec3 p) { return .65 * noise(p) + .35 * noise(p * 2.7 + 7.); }

float bell(float x, float width) { return exp(-x * x / (width * width)); }

float lit_share() {
    if (shadow_strength <= 0.) return 1.;
    float sum = 0.;
    for (int i = 0; i < 4; i++) {
        vec2 offset = (vec2(i & 1, i >> 1) - .5) * 2.6 / 512.;
        sum += texture(shadow_map, vec3(light_place.xy + offset, light_place.z - .004));
    }
    return mix(1., sum / 4., shadow_strength);
}

vec3 shade(vec3 albedo, vec3 n, float wrap, float gloss, float hardness, vec3 scatter) {
    vec3 view = normalize(camera - world);
    float lit = lit_share();
    float facing = dot(n, key_direction);
    vec3 sum = albedo * key_colour * lit * max(0., (facing + wrap) / (1. + wrap));
    sum += albedo * scatter * key_colour * lit * max(0., .35 - abs(facing));
    vec3 halfway = normalize(key_direction + view);
    sum += gloss * .22 * key_colour * lit * pow(max(dot(n, halfway), 0.), hardness) * step(0., facing);
    sum += albedo * fill_colour * max(0., (dot(n, fill_direction) + .2) / 1.2);
    sum += albedo * mix(ground_colour, sky_colour, n.z * .5 + .5);
    vec3 away = screen_place - world;
    float fall = .25 / (dot(away, away) + .05);
    away = normalize(away);
    sum += albedo * screen_colour * max(0., dot(n, away)) * fall;
    sum += gloss * .15 * screen_colour * pow(max(dot(n, normalize(away + view)), 0.), 40.) * fall;
    return sum;
}

vec4 finish(vec3 light, float alpha) {
    light = light / (1. + .25 * light);
    return vec4(pow(clamp(light, 0., 1.), vec3(1. / 2.2)) * alpha, alpha);
}
