"""Pictures that browsers, OBS and other WHIP clients publish over WebRTC.

Nothing here is imported until it is asked for.
"""
