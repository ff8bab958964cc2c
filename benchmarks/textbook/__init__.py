"""Each system run as its publication runs it: separate passes, whole networks, contiguous memory, float32, eager."""
