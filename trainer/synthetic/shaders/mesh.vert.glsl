#version 330
// Places a vertex; a shell (hair, clothes, a scarf) is the body pushed out along its normals.
in vec3 position;
in vec3 normal;
in vec3 canonical;  // template position, decimetres, +y up, +z out of the face
in vec2 uv;
in vec3 eye_direction;
uniform mat4 view_projection;
uniform mat4 light_projection;
uniform float push;       // metres
uniform float crown;      // 0: pushed alike everywhere, 1: more towards the top of the head
uniform float curl;       // share of the push that is noise
uniform float curl_size;  // waves per decimetre
out vec3 world;
out vec3 world_normal;
out vec3 canon;
out vec2 texture_uv;
out vec3 eye_axis;
out vec3 light_place;

float hash(vec3 p) { p = fract(p * .1031); p += dot(p, p.yzx + 33.33); return fract((p.x + p.y) * p.z); }

void main() {
    float top = mix(1., .35 + .65 * smoothstep(7.2, 8.3, canonical.y), crown);
    float lump = 1. + curl * (2. * hash(floor(canonical * curl_size + 40.)) - 1.);
    world = position + normal * push * top * lump;
    world_normal = normal;
    canon = canonical;
    texture_uv = uv;
    eye_axis = eye_direction;
    vec4 lit = light_projection * vec4(world, 1.);
    light_place = lit.xyz * .5 + .5;
    gl_Position = view_projection * vec4(world, 1.);
}
