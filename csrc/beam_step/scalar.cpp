// A step of the beam search for the baseline machine.
#include "beam_step/beam_step.hpp"
#include "core/half.hpp"
#include "core/target.hpp"

namespace vecpress::scalar {
namespace {
#include "core/vec_scalar.inl"

#include "beam_step/least.inl"

#include "beam_step/beam_step.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<BeamStep> registered(Isa::scalar, scalar::beam_step_rows);
}  // namespace vecpress
