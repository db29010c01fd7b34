"""The talk's experiment: does training on one's own wrong answers, round after round, beat more supervised training?"""
