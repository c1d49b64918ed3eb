// A product quantizer's query tables with NEON.
#include "core/target.hpp"
#include "tables/tables.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "core/vec_neon.inl"

#include "core/chains.inl"

#include "core/strips.inl"

#include "tables/tables.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<Tables> registered(Isa::neon, neon::tables_rows);
}  // namespace vecpress

#endif
