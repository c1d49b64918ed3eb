// A step of the beam search with AVX2, 8 labels a vector.
#include "beam_step/beam_step.hpp"
#include "core/target.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "core/vec_avx2.inl"

#include "beam_step/least.inl"

#include "beam_step/beam_step.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<BeamStep> registered(Isa::avx2, avx2::beam_step_rows);
}  // namespace vecpress

#endif
