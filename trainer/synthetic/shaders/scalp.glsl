// Where hair grows: above 0 inside. hairline: front height, bow of the front, shift at the temple, shift at the neck.
uniform vec4 hairline;

float scalp(vec3 c) {
    float aside = abs(c.x);
    float front = hairline.x - hairline.y * aside * aside * .6;
    float ragged = (noise(c * 7. + seed) - .5) * .15;
    float line;
    if (c.z > .75) line = front;
    else if (c.z > .35) line = mix(6.95 + hairline.z, front, smoothstep(.35, .75, c.z));
    else line = mix(6.45 + hairline.w, 6.95 + hairline.z, smoothstep(-.1, .35, c.z));
    return c.y + ragged - line;
}
