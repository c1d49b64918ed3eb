// A step of the beam search with NEON, 4 labels a vector.
#include "beam_step/beam_step.hpp"
#include "core/target.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "core/vec_neon.inl"

#include "beam_step/least.inl"

#include "beam_step/beam_step.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<BeamStep> registered(Isa::neon, neon::beam_step_rows);
}  // namespace vecpress

#endif
