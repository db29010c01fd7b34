"""Where frames come from: recordings, webcams, folders of stills, the demo lecture."""
