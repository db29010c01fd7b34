#version 330
// A shirt: MakeHuman's tights cut at a collar; plain, striped, with buttons or a print.
#include "light.glsl"
uniform vec3 cloth, cloth_second;
uniform float neck_y, neck_depth, pattern_size;
uniform int pattern;  // 0 plain, 1 stripes across, 2 stripes down, 3 checks, 4 button row, 5 print

void main() {
    float aside = abs(canon.x);
    if (canon.y > neck_y - neck_depth * smoothstep(0., .9, canon.z) * step(aside, .5)) discard;
    vec3 albedo = cloth;
    float across = step(.5, fract(canon.y * pattern_size)), down = step(.5, fract(canon.x * pattern_size));
    if (pattern == 1) albedo = mix(cloth, cloth_second, across);
    else if (pattern == 2) albedo = mix(cloth, cloth_second, down);
    else if (pattern == 3) albedo = mix(cloth, cloth_second, .5 * (across + down));
    else if (pattern == 4 && aside < .12 && canon.z > 0.) albedo = cloth_second;
    else if (pattern == 5 && canon.z > .3) albedo = mix(cloth, cloth_second, step(.52, noise(canon * vec3(3., 4., 3.) + seed)));
    albedo *= .8 + .35 * cloud(canon * 4. + seed);
    vec3 n = normalize(world_normal);
    if (dot(n, camera - world) < 0.) n = -n;
    colour = finish(shade(albedo, n, .1, .05, 12., vec3(0.)), 1.);
}
