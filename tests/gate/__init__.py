"""The compile gate: what CUDA's own compiler makes of every kernel, with no GPU and no driver."""
