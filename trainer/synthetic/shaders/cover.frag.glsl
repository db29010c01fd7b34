#version 330
// Cloth worn on the head, as a shell of the body: a cap, a headscarf, a mask.
#include "light.glsl"
#include "scalp.glsl"
uniform vec3 cover;
uniform int kind;       // 0 cap or hat, 1 headscarf, 2 mask
uniform vec4 opening;   // headscarf: half width and half height of the face's oval, height of its middle, lowest y

void main() {
    if (kind == 0 && scalp(canon) < -.10) discard;
    if (kind == 1) {
        float oval = pow(canon.x / opening.x, 2.) + pow((canon.y - opening.z) / opening.y, 2.);
        if ((canon.z > .55 && oval < 1.) || canon.y < opening.w) discard;
    }
    if (kind == 2) {
        float top = 7.02 - .12 * smoothstep(.2, .7, abs(canon.x));
        if (canon.z < .35 || canon.y > top || canon.y < 6.38) discard;
    }
    float folds = cloud(canon * vec3(4., 7., 4.) + seed);
    vec3 albedo = cover * (.7 + .5 * folds);
    vec3 n = normalize(world_normal + (folds - .5) * .35);
    if (dot(n, camera - world) < 0.) n = -n;
    colour = finish(shade(albedo, n, .15, .15, 14., vec3(0.)), 1.);
}
