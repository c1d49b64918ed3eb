/* What entry points return: 0, or a code above that is CUDA's own plus VP_CUDA_DRIVER, or one of ours. */
#ifndef VECPRESS_CUDA_CODES_OF_ERRORS_H
#define VECPRESS_CUDA_CODES_OF_ERRORS_H

enum {
  VP_CUDA_OK = 0,
  VP_CUDA_ARGUMENT = 1,  /* a null pointer, a negative count, a kind that does not exist */
  VP_CUDA_WORKSPACE = 2, /* the workspace is smaller than the least that vp_cuda_*_workspace names */
  VP_CUDA_DEADLOCK = 3,  /* emulation alone: threads of a block wait for each other for ever */
  VP_CUDA_LAUNCH = 4,    /* more shared memory or threads than the device has */
  VP_CUDA_DRIVER = 1000  /* plus the code of CUDA's runtime */
};

#endif
