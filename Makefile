run test bench clean:
	@./dev $@

.PHONY: run test bench clean

.DEFAULT_GOAL := run
