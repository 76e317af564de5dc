"""Settings: checked, completed from presets and defaults, and as command lines of the programs."""
