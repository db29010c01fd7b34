#version 330
// Eyelashes: cards with gaps.
#include "light.glsl"

void main() {
    if (fract(canon.x * 40. + canon.y * 13.) < .62) discard;
    colour = finish(vec3(.03) * (sky_colour + key_colour), 1.);
}
