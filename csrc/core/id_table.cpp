// The ids of an index: the id of each row, the row of each id, how many rows there are, and which id comes next.
//
// A change is one call that holds the GIL, runs no Python code, and fails, if at all, before it changes anything. So whatever may come
// in between, a signal handler, another thread or fork(), finds the index before the change or after it.
#include <algorithm>
#include <cstring>
#include <new>
#include <numeric>
#include <tuple>
#include <vector>

#include "blocks/layout.hpp"
#include "core/id_map.hpp"
#include "core/python.hpp"

namespace vecpress {
namespace {

using Ids = Array<int64_t>;

constexpr uint64_t kIdsEnd = uint64_t{1} << 63;  // ids are int64, 0 or more

// The codes of one codec, a row an id: data, code_size, head, group. In block layout, or uint8[rows][code_size] row by row.
using Column = std::tuple<Array<uint8_t>, int64_t, int64_t, int64_t>;

// Where rows went, int64[moves][2], from and to, for columns that lie elsewhere; what is left of it stays as it is.
using Moves = std::optional<Ids>;

// Moves a row in every column, and says so.
class Columns {
 public:
  // Raises if a column has no room for `rows`, or `moves` for `changes` of them.
  Columns(std::vector<Column>& columns, int64_t rows, Moves& moves, int64_t changes) {
    expect(!moves || (moves->ndim() == 2 && moves->shape(0) >= changes && moves->shape(1) == 2), "IdTable: moves expected two places a change");
    if (moves) next_ = moves->mutable_data();
    for (auto& [data, code_size, head, group] : columns) {
      const bool by_row = code_size > 0 && data.ndim() == 2 && data.shape(1) == code_size;
      const BlockLayout layout = by_row ? BlockLayout{code_size, 0, 1} : checked_layout(data, code_size, head, group);
      expect(data.shape(0) >= (by_row ? rows : (rows + kBlockRows - 1) / kBlockRows), "IdTable: data expected a code for each row");
      all_.push_back({layout, data.mutable_data(), by_row});
    }
  }

  void copy(int64_t from, int64_t to) {
    if (next_) {
      *next_++ = from;
      *next_++ = to;
    }
    for (const Codes& c : all_) {
      if (c.by_row)
        std::memcpy(c.data + to * c.layout.code_size, c.data + from * c.layout.code_size, static_cast<std::size_t>(c.layout.code_size));
      else
        copy_row(c.layout, c.data, from, to);
    }
  }

 private:
  struct Codes {
    BlockLayout layout;
    uint8_t* data;
    bool by_row;
  };
  std::vector<Codes> all_;
  int64_t* next_ = nullptr;
};

class IdTable {
 public:
  // Row i of n has the id ids[i], or i where there are no `ids`; these may be mapped from a file and are then never written to.
  IdTable(int64_t n, std::optional<Ids> ids, uint64_t next_id) : ids_(std::move(ids)), n_(n), next_id_(next_id) {
    expect(n >= 0 && next_id <= kIdsEnd, "IdTable: n expected 0 or more, next_id at most 2^63");
    expect(!ids_ || (ids_->ndim() == 1 && ids_->size() == n), "IdTable: ids expected one id a row");
  }

  int64_t size() const { return n_; }
  uint64_t next_id() const { return next_id_; }
  std::size_t nbytes() const { return (ids_ ? static_cast<std::size_t>(ids_->nbytes()) : 0) + (map_ ? map_->nbytes() : 0); }

  // The ids in row order, a view until the next change; none where the id is the row.
  std::optional<Ids> ids() const {
    if (!ids_) return std::nullopt;
    return Ids(n_, ids_->data(), *ids_);
  }

  // Builds the map from ids to rows where it is missing. The first id that stands twice, if any (an unchecked file): then there is no map.
  std::optional<int64_t> map_rows() {
    if (map_ || !ids_) return std::nullopt;
    IdMap built;
    const auto count = static_cast<std::size_t>(n_);
    const std::size_t done = built.insert(ids_->data(), count, 0);
    if (done < count) return ids_->data()[done];
    map_ = std::move(built);
    return std::nullopt;
  }

  // The row of each id, -1 where it is unknown.
  Ids rows(const Ids& wanted) {
    const int64_t* id = checked(wanted);
    need_map();
    Ids out(wanted.size());
    int64_t* row = out.mutable_data();
    for (py::ssize_t i = 0; i < wanted.size(); ++i) row[i] = row_of(id[i]);
    return out;
  }

  // The place of the first id that is there already or stands twice in `added`, -1 if there is none.
  py::ssize_t clash(const Ids& added) {
    const int64_t* id = checked(added);
    const auto count = static_cast<std::size_t>(added.size());
    bool numbers_on = true;  // ascending from the next id on, which is most common: all new without a look
    for (std::size_t i = 0; i < count && numbers_on; ++i)
      numbers_on = i ? id[i] > id[i - 1] : id[0] >= 0 && static_cast<uint64_t>(id[0]) >= next_id_;
    if (numbers_on) return -1;
    need_map();
    IdMap seen;
    const std::size_t different = seen.insert(id, count, 0);
    for (std::size_t i = 0; i < different; ++i)
      if (row_of(id[i]) >= 0) return static_cast<py::ssize_t>(i);
    return different < count ? static_cast<py::ssize_t>(different) : -1;
  }

  // Appends `count` rows, with ids that do not clash or else numbered on.
  void append(int64_t count, const std::optional<Ids>& added) {
    expect(count >= 0 && (!added || (added->ndim() == 1 && added->size() == count)), "IdTable: ids expected one id a row");
    uint64_t next = next_id_ + static_cast<uint64_t>(count);
    if (added && count) {
      const auto [least, most] = std::minmax_element(added->data(), added->data() + count);
      expect(*least >= 0, "IdTable: ids expected 0 or more");
      next = std::max(next_id_, static_cast<uint64_t>(*most) + 1);
    }
    expect(next <= kIdsEnd, "IdTable: there are no more ids to number on with");
    if (!count) return;
    if (!ids_ && (!added || numbers_rows(added->data(), count))) {
      n_ += count;
      next_id_ = next;
      return;
    }
    Ids ids = with_room(n_ + count);
    int64_t* id = ids.mutable_data();
    if (added)
      std::copy_n(added->data(), count, id + n_);
    else
      for (int64_t i = 0; i < count; ++i) id[n_ + i] = static_cast<int64_t>(next_id_) + i;
    std::optional<IdMap> first_map = missing_map(id);
    IdMap& map = map_ ? *map_ : *first_map;
    expect(map.insert(id + n_, static_cast<std::size_t>(count), n_) == static_cast<std::size_t>(count), "IdTable: an id is there already");
    // nothing fails from here on
    if (first_map) map_ = std::move(first_map);
    ids_ = std::move(ids);
    n_ += count;
    next_id_ = next;
  }

  // Takes out `unwanted` ids and their codes in `columns`; the last rows fill their places. False, and nothing changes, if an id is
  // unknown or stands twice, here or in the table.
  bool remove(const Ids& unwanted, std::vector<Column> columns, Moves moves) {
    const int64_t* wanted = checked(unwanted);
    const int64_t count = unwanted.size();
    Columns codes(columns, n_, moves, count);
    if (map_rows()) return false;
    std::vector<int64_t> rows(static_cast<std::size_t>(count));
    std::transform(wanted, wanted + count, rows.begin(), [&](int64_t one) { return row_of(one); });
    std::sort(rows.begin(), rows.end());
    if (std::adjacent_find(rows.begin(), rows.end()) != rows.end() || (count && rows[0] < 0)) return false;
    if (!count) return true;
    const int64_t* gone = rows.data();
    Ids ids = with_room(n_);
    int64_t* id = ids.mutable_data();
    std::optional<IdMap> first_map = missing_map(id);
    // nothing fails from here on
    if (first_map) map_ = std::move(first_map);
    ids_ = std::move(ids);
    for (int64_t i = 0; i < count; ++i) map_->remove(id[gone[i]]);
    const int64_t left = n_ - count;
    const int64_t* behind = std::lower_bound(gone, gone + count, left);  // those of the last rows that go as well
    int64_t last = left;
    for (const int64_t* hole = gone; hole < gone + count && *hole < left; ++hole, ++last) {
      for (; behind < gone + count && *behind == last; ++behind) ++last;
      codes.copy(last, *hole);
      id[*hole] = id[last];
      map_->set_row(id[last], *hole);
    }
    n_ = left;
    give_back();
    return true;
  }

  // Gives each of the different ids `put` the code that waits for it behind the last row, in their order: those that are known keep
  // their rows, the others become the next rows.
  void upsert(const Ids& put, std::vector<Column> columns, Moves moves) {
    const int64_t* wanted = checked(put);
    const int64_t count = put.size();
    Columns codes(columns, n_ + count, moves, count);
    if (!count) return;
    const Ids found = rows(put);
    const int64_t* row = found.data();
    std::vector<int64_t> added, seen;
    for (int64_t i = 0; i < count; ++i) {
      expect(wanted[i] >= 0, "IdTable: ids expected 0 or more");
      if (row[i] < 0) added.push_back(wanted[i]);
      if (row[i] >= 0) seen.push_back(row[i]);
    }
    std::sort(seen.begin(), seen.end());
    expect(std::adjacent_find(seen.begin(), seen.end()) == seen.end(), "IdTable: an id stands twice");
    if (!added.empty()) append(static_cast<int64_t>(added.size()), Ids(static_cast<py::ssize_t>(added.size()), added.data()));
    // nothing fails from here on; a code is read before another comes to lie where it was
    int64_t next = n_ - static_cast<int64_t>(added.size());
    const int64_t first = next;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t to = row[i] < 0 ? next++ : row[i];
      if (to != first + i) codes.copy(first + i, to);
    }
  }

 private:
  static const int64_t* checked(const Ids& ids) {
    expect(ids.ndim() == 1, "IdTable: expected one axis");
    return ids.data();
  }

  // Whether the ids are those that the next rows have anyway: then they need no memory.
  bool numbers_rows(const int64_t* id, int64_t count) const {
    for (int64_t i = 0; i < count; ++i)
      if (id[i] != n_ + i) return false;
    return true;
  }

  void need_map() { expect(!map_rows(), "IdTable: an id stands twice"); }

  // The map of the present rows with the ids `id`, if there is none yet.
  std::optional<IdMap> missing_map(const int64_t* id) const {
    if (map_) return std::nullopt;
    IdMap built;
    const auto count = static_cast<std::size_t>(n_);
    expect(built.insert(id, count, 0) == count, "IdTable: an id stands twice");
    return built;
  }

  int64_t row_of(int64_t id) const {
    if (ids_) return map_->row(id);
    return id >= 0 && id < n_ ? id : -1;
  }

  // An array of the present ids with places for `rows` of them, ours to write to.
  Ids with_room(int64_t rows) const {
    if (ids_ && ids_->size() >= rows && ids_->writeable()) return *ids_;
    const int64_t have = ids_ ? ids_->size() : 0;
    Ids out(std::max(rows, have ? have + have / 8 : 0));  // an eighth more than needed, so that adding is O(1) amortised
    if (ids_)
      std::copy_n(ids_->data(), n_, out.mutable_data());
    else
      std::iota(out.mutable_data(), out.mutable_data() + n_, int64_t{0});
    return out;
  }

  // Gives memory back where most of it is free; none to move to is no reason to fail.
  void give_back() {
    try {
      map_->shrink();
      if (ids_->size() > 4 * n_ + 256) {
        Ids fewer(2 * n_);
        std::copy_n(ids_->data(), n_, fewer.mutable_data());
        ids_ = std::move(fewer);
      }
    } catch (const std::bad_alloc&) {
    } catch (py::error_already_set&) {
    }
  }

  std::optional<Ids> ids_;  // room for rows to come included
  std::optional<IdMap> map_;
  int64_t n_;
  uint64_t next_id_;
};

}  // namespace

void bind_id_table(py::module_& module) {
  py::class_<IdTable>(module, "IdTable", "The ids of an index; not locked, but each change happens whole or not at all.")
      .def(py::init<int64_t, std::optional<Ids>, uint64_t>(), py::arg("n"), py::arg("ids").noconvert(), py::arg("next_id"))
      .def("__len__", &IdTable::size)
      .def_property_readonly("next_id", &IdTable::next_id, "The highest id ever used, plus 1.")
      .def_property_readonly("nbytes", &IdTable::nbytes, "Bytes held.")
      .def_property_readonly("ids", &IdTable::ids, "The ids in row order, a view until the next change; None where the id is the row.")
      .def("map_rows", &IdTable::map_rows, "Builds what `rows` needs; the first id that stands twice, if any.")
      .def("rows", &IdTable::rows, py::arg("ids").noconvert(), "The row of each id, -1 where it is unknown.")
      .def("clash", &IdTable::clash, py::arg("ids").noconvert(), "The place of the first id that is known or repeated, or -1.")
      .def("append", &IdTable::append, py::arg("count"), py::arg("ids").noconvert(), "Appends rows; without ids, numbered on.")
      .def("remove", &IdTable::remove, py::arg("ids").noconvert(), py::arg("columns").noconvert(), py::arg("moves").noconvert() = py::none(),
           "Takes out ids and their codes; the last rows fill the places. False, and nothing is done, if one is unknown or stands twice.")
      .def("upsert", &IdTable::upsert, py::arg("ids").noconvert(), py::arg("columns").noconvert(), py::arg("moves").noconvert() = py::none(),
           "Gives ids the codes behind the last row: known ones in their rows, new ones as the next rows.");
}

}  // namespace vecpress
