"""Parts of RSN: the network on the range image, voxels of chosen points, and sparse blocks on them."""
