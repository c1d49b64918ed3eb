// A step of the beam search with AVX-512, 16 labels a vector.
#include "beam_step/beam_step.hpp"
#include "core/target.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "core/vec_avx512.inl"

#include "beam_step/least.inl"

#include "beam_step/beam_step.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<BeamStep> registered(Isa::avx512, avx512::beam_step_rows);
}  // namespace vecpress

#endif
