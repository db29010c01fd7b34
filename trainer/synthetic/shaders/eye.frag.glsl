#version 330
// An eyeball: white, iris and pupil by the angle from its axis, a wet highlight, the lid's shadow.
#include "light.glsl"
uniform vec3 iris;
uniform float iris_size, pupil_size;  // radians from the axis
uniform float eye_white, eye_socket;  // brightness of the white; shadow of brow and lid

void main() {
    vec3 n = normalize(world_normal);
    float from_axis = acos(clamp(normalize(eye_axis).z, -1., 1.));
    vec3 white = eye_white * vec3(.80, .77, .74) * (1. - .12 * noise(eye_axis * 9.));
    vec3 ring = iris * (.6 + .8 * noise(eye_axis * vec3(40, 40, 10) + seed));
    ring *= .5 + .65 * smoothstep(iris_size, iris_size * .72, from_axis);
    vec3 albedo = mix(white, ring, 1. - smoothstep(iris_size * .93, iris_size * 1.05, from_axis));
    albedo = mix(albedo, vec3(.012), 1. - smoothstep(pupil_size * .9, pupil_size * 1.1, from_axis));
    vec3 light = shade(albedo * .75, n, .1, 1.6, 110., vec3(0.));
    light *= .5 + .5 * smoothstep(-.25, .4, .35 - dot(n, vec3(0., 0., 1.)));
    light *= 1. - eye_socket * (.25 + .4 * smoothstep(-.1, .5, n.z));
    colour = finish(light, 1.);
}
