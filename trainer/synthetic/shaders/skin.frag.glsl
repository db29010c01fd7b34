#version 330
// Skin: brows, lips, lids, blush, beard and the shadow of shorn hair are painted from template coordinates.
#include "light.glsl"
#include "scalp.glsl"
uniform sampler2D masks;  // lips, eyelids, ears
uniform vec3 skin, lip, hair, brow;
uniform vec4 brow_shape;  // height, bow, fall, thickness
uniform float beard, beard_length, stubble, blush, lid_shadow, gloss, eyeliner, wrinkles;

void main() {
    vec3 n = normalize(world_normal);
    float aside = abs(canon.x);
    vec3 mask = texture(masks, texture_uv).rgb;
    vec3 albedo = skin * (.92 + .16 * cloud(canon * 5. + seed * 3.));
    bool face = canon.z > .75 && canon.y > 6.2;
    if (face) {
        float cheeks = exp(-(pow((aside - .42) / .2, 2.) + pow((canon.y - 6.98) / .18, 2.)));
        float nose = exp(-(pow(canon.x / .1, 2.) + pow((canon.y - 7.) / .12, 2.))) * step(1.3, canon.z);
        albedo = mix(albedo, albedo * vec3(1.08, .78, .76), blush * (cheeks + nose));
        albedo = mix(albedo, lip, mask.r * .85);
        albedo = mix(albedo, albedo * vec3(.72, .62, .6), mask.g * lid_shadow);
        albedo = mix(albedo, vec3(.02), smoothstep(.55, .9, mask.g) * eyeliner);
        albedo *= 1. - .25 * lid_shadow * exp(-(pow((aside - .31) / .2, 2.) + pow((canon.y - 7.17) / .07, 2.)));
        float folds = bell(abs(canon.y - 6.93 + .35 * (aside - .32)) , .025) * bell(aside - .34, .08)
            + bell(sin(canon.y * 42. + 2. * aside), .25) * smoothstep(7.6, 7.7, canon.y) * .6;
        albedo *= 1. - .22 * wrinkles * clamp(folds, 0., 1.);
        float t = (aside - .10) / .44;
        float height = brow_shape.x + brow_shape.y * sin(clamp(t, 0., 1.) * 2.4) - brow_shape.z * t * t;
        float thick = brow_shape.w * (1. - .6 * clamp(t, 0., 1.));
        float hairs = (1. - smoothstep(thick * .6, thick * 1.2, abs(canon.y - height)))
            * smoothstep(0., .1, t) * (1. - smoothstep(.92, 1.05, t)) * step(1., canon.z);
        if (hairs > 0.) albedo = mix(albedo, brow, clamp(hairs * (.7 + .5 * noise(canon * vec3(60, 20, 20))), 0., .95));
    }
    if (beard > 0. && canon.z > .3) {
        float jaw = smoothstep(6.95, 6.6, canon.y - .25 * smoothstep(.35, .75, aside)) * smoothstep(6.1, 6.3, canon.y)
            * smoothstep(.35, .6, canon.z);
        float lip_beard = exp(-(pow(canon.x / .28, 2.) + pow((canon.y - 6.86) / .06, 2.))) * step(1.2, canon.z);
        float hairs = max(jaw * beard_length, lip_beard) * (1. - mask.r) * beard * (.6 + .6 * cloud(canon * 25.));
        albedo = mix(albedo, hair * .8, clamp(hairs, 0., .92));
    }
    if (stubble > 0. && canon.y > 6.3) albedo = mix(albedo, hair, stubble * smoothstep(-.03, .05, scalp(canon)));
    vec3 light = shade(albedo, n, .25, gloss, 18., vec3(.25, .06, .03));
    // Hollows that the lights do not know: eye sockets, under the chin.
    float hollow = 1. - .35 * exp(-(pow((aside - .24) / .1, 2.) + pow((canon.y - 7.33) / .1, 2.))) * step(1., canon.z);
    hollow *= 1. - .45 * smoothstep(6.55, 6.2, canon.y) * smoothstep(5.7, 6.1, canon.y);
    colour = finish(light * hollow, 1.);
}
