#version 330
// Anything of one colour: glasses, lenses, hands, desk, paper, teeth.
#include "light.glsl"
uniform vec3 tint;
uniform float shine, opacity, skin_like;

void main() {
    vec3 n = normalize(world_normal);
    if (dot(n, camera - world) < 0.) n = -n;
    colour = finish(shade(tint, n, .1 + .15 * skin_like, shine, mix(60., 18., skin_like), vec3(.25, .06, .03) * skin_like), opacity);
}
