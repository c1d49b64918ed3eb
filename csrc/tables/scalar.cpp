// A product quantizer's query tables for the baseline machine.
#include "core/half.hpp"
#include "core/target.hpp"
#include "tables/tables.hpp"

namespace vecpress::scalar {
namespace {
#include "core/vec_scalar.inl"

#include "core/chains.inl"

#include "core/strips.inl"

#include "tables/tables.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<Tables> registered(Isa::scalar, scalar::tables_rows);
}  // namespace vecpress
