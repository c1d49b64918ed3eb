# Short names for the longer commands; everything else is in pyproject.toml and CONTRIBUTING.md.
PYTHON ?= python
BASE ?= HEAD

.PHONY: bench-compare
bench-compare:  ## make bench-compare BASE=main [ARGS="-k lut4"]: the files as they are beside a commit
	$(PYTHON) -m bench.compare $(BASE) $(ARGS)

.PHONY: docs
docs:  ## the site of docs/, in build/site; needs pip install ".[docs]"
	$(PYTHON) -m mkdocs build --strict
