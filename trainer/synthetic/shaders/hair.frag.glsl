#version 330
// Hair close to the head: a shell of the scalp with a ragged hairline.
#include "light.glsl"
#include "scalp.glsl"
uniform vec3 hair;
uniform float ragged, strand;  // how torn the edge is; waves across a strand
uniform float parting;         // x of a parting, decimetres; beyond 5 there is none

void main() {
    float s = scalp(canon);
    float tear = cloud(canon * vec3(14, 9, 14) + seed * 5.);
    if (s < .02 + ragged * (tear - .45)) discard;
    float fibres = noise(canon * vec3(strand, strand * .25, strand) + seed);
    vec3 albedo = hair * (.5 + .75 * fibres + .3 * (tear - .5));
    albedo *= 1. - .6 * bell(canon.x - parting, .05) * smoothstep(7.6, 8., canon.y);
    vec3 n = normalize(world_normal + (fibres - .5) * .5);
    if (dot(n, camera - world) < 0.) n = -n;
    colour = finish(shade(albedo, n, .1, .3, 22., vec3(0.)), 1.);
}
