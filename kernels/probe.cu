// probe.cu: whether a device runs anything at all.

extern "C" __global__ void probe(int* out) { *out = 7; }
