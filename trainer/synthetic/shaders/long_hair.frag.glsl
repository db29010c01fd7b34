#version 330
// Hair that falls: MakeHuman's hair shape, cut free of the face and at a length.
#include "light.glsl"
uniform vec3 hair;
uniform vec4 hairline;
uniform float cut_y, curtain;  // template height of the tips; how far hair falls into the face, 0 to 1

void main() {
    float strands = cloud(canon * vec3(25, 3, 25) + seed);
    float aside = abs(canon.x);
    float open_half = mix(.9, .55, curtain) + .1 * (strands - .5);
    if (canon.z > .55 && canon.y < hairline.x + .02 && aside < open_half) discard;
    if (canon.z > .95 && canon.y < hairline.x + .02 && aside < .85) discard;
    if (canon.y < cut_y + .3 * strands) discard;
    vec3 n = normalize(world_normal + (strands - .5) * .4);
    if (dot(n, camera - world) < 0.) n = -n;
    colour = finish(shade(hair * (.5 + strands), n, .1, .35, 22., vec3(0.)), 1.);
}
