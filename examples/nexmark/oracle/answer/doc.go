// Package answer knows the right results of the Nexmark queries: it asks a database.
//
// The events that a run exported are loaded into SQLite, the query is said in SQL (folder sql, one file each, readable for
// other databases too), and the rows that the run exported are compared with the database's as multisets. Nothing
// here shares code with the engine, its operators or its generator; files in Parquet are all that both know.
//
//	files.go     the rows of Parquet files
//	database.go  events into tables
//	queries.go   the queries: their SQL and columns
//	compare.go   expected rows against those of a run
package answer
