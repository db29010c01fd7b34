#version 330
// Eyelashes: cards with gaps; only the upper ones show from where a webcam stands.
#include "light.glsl"

void main() {
    if (canon.y < 7.27 || fract(canon.x * 90. + canon.y * 31.) < .35) discard;
    colour = finish(vec3(.03) * (sky_colour + key_colour), 1.);
}
