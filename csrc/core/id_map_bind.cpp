// Python's view of IdMap: int64 arrays in and out. The GIL stays held, so a call is atomic to other Python threads.
#include "core/id_map.hpp"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>

namespace py = pybind11;

namespace vecpress {
namespace {

using Ids = py::array_t<int64_t, py::array::c_style>;

const int64_t* vector_of(const Ids& ids, const char* name) {
  if (ids.ndim() != 1) throw py::value_error(std::string("IdMap: ") + name + " expected one axis, got " + std::to_string(ids.ndim()));
  return ids.data();
}

py::ssize_t insert(IdMap& map, const Ids& ids, int64_t first_row) {
  const int64_t* data = vector_of(ids, "ids");
  if (first_row < 0) throw py::value_error("IdMap: first_row expected 0 or more, got " + std::to_string(first_row));
  const auto count = static_cast<std::size_t>(ids.size());
  const std::size_t done = map.insert(data, count, first_row);
  return done == count ? -1 : static_cast<py::ssize_t>(done);
}

py::array_t<int64_t> rows(const IdMap& map, const Ids& ids) {
  const int64_t* data = vector_of(ids, "ids");
  py::array_t<int64_t> out(ids.size());
  int64_t* to = out.mutable_data();
  for (py::ssize_t i = 0; i < ids.size(); ++i) to[i] = map.row(data[i]);
  return out;
}

void set_rows(IdMap& map, const Ids& ids, const Ids& rows) {
  const int64_t* data = vector_of(ids, "ids");
  const int64_t* to = vector_of(rows, "rows");
  if (ids.size() != rows.size()) throw py::value_error("IdMap: rows expected as many as ids");
  for (py::ssize_t i = 0; i < ids.size(); ++i) {
    if (to[i] < 0) throw py::value_error("IdMap: rows expected 0 or more, got " + std::to_string(to[i]));
  }
  for (py::ssize_t i = 0; i < ids.size(); ++i) map.set_row(data[i], to[i]);
}

void erase(IdMap& map, const Ids& ids) { map.erase(vector_of(ids, "ids"), static_cast<std::size_t>(ids.size())); }

}  // namespace

void bind_id_map(py::module_& module) {
  py::class_<IdMap>(module, "IdMap", "A map from ids to row numbers; not locked.")
      .def(py::init<>())
      .def("insert", &insert, py::arg("ids").noconvert(), py::arg("first_row"),
           "Gives ids[i] the row first_row + i; -1, or the position of the first id that is known or repeated: then nothing changed.")
      .def("rows", &rows, py::arg("ids").noconvert(), "The row of each id, -1 where it is unknown.")
      .def("set_rows", &set_rows, py::arg("ids").noconvert(), py::arg("rows").noconvert(),
           "Gives known ids other rows; unknown ids are left out.")
      .def("erase", &erase, py::arg("ids").noconvert(), "Forgets ids; unknown ids are left out.")
      .def("__len__", &IdMap::size)
      .def_property_readonly("nbytes", &IdMap::nbytes, "Bytes held.");
}

}  // namespace vecpress
