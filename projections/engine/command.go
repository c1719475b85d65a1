package engine

// commandLine is what the engine is started with: the command line of clickhouse-local, with server settings after "--".
// name is how the server introduces itself. stdin is opened as a file so that the last query reads it to its end.
//
// The settings are those in which a developer's machine differs from a server that ClickHouse has for itself. Idle, the
// engine takes about 210 MB, most of it pages of the library, and no measurable processor time.
func commandLine(store, host, port, name string) []string {
	return []string{
		"clickhouse-local",
		"--path", store,
		"--query", "SYSTEM START LISTEN TCP; SELECT count() FROM file('/dev/fd/0', 'LineAsString') FORMAT Null",
		"--",
		"--listen_host=" + host,
		"--tcp_port=" + port,
		"--display_name=" + name,
		"--send_crash_reports.enabled=0",
		"--mlock_executable=0", // would pin half a gigabyte of library into memory

		// Queries and merges fail before the rest of the machine does: NATS and the product share it.
		"--max_server_memory_usage_to_ram_ratio=0.5",
		"--mark_cache_size=268435456",          // bytes; 5 GiB otherwise
		"--index_mark_cache_size=67108864",     // bytes; 5 GiB otherwise
		"--primary_index_cache_size=268435456", // bytes; 5 GiB otherwise

		// Threads: merges and housekeeping, sized for two cores.
		"--background_pool_size=2",
		"--background_move_pool_size=1",
		"--background_fetches_pool_size=1",
		"--background_common_pool_size=1",
		"--background_schedule_pool_size=2",
		"--max_thread_pool_size=512", // 10,000 otherwise
	}
}
