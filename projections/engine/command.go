package engine

// commandLine is what the engine is started with: the command line of clickhouse-local, with settings of a session before
// "--" and settings of the server after it.
// name is how the server introduces itself. stdin is opened as a file so that the last query reads it to its end.
//
// The settings are those in which a developer's machine differs from a server that ClickHouse has for itself. Threads need
// none: clickhouse-local starts with two for merges and few others. Idle, the engine takes about 210 MB, most of it pages
// of the library, and no measurable processor time.
func commandLine(store, host, port, name string) []string {
	return []string{
		"clickhouse-local",
		"--path", store,
		"--poll_interval=1", // s; an idle connection looks this often whether the server stops. At 10 s every stop took 5
		// What clickhouse-local sets differently from a server: a statement must not pass here and fail in production.
		"--implicit_select=0",
		"--allow_introspection_functions=0",
		"--query", "SYSTEM START LISTEN TCP; SELECT count() FROM file('/dev/fd/0', 'LineAsString') FORMAT Null",
		"--",
		"--listen_host=" + host,
		"--tcp_port=" + port,
		"--display_name=" + name,
		"--send_crash_reports.enabled=0",
		// Queries and merges fail before the rest of the machine does: NATS and the product share it.
		"--max_server_memory_usage_to_ram_ratio=0.5",
		"--mark_cache_size=268435456",          // bytes; 5 GiB otherwise
		"--index_mark_cache_size=67108864",     // bytes; 5 GiB otherwise
		"--primary_index_cache_size=268435456", // bytes; 5 GiB otherwise
	}
}
