"""Downloads from a bucket what a configuration needs: `python rules fetch`."""
