-- q22, directories of a URL: its parts 3, 4 and 5, where slashes separate the parts and the first is part 0. What a URL lacks is ''.
-- Six slashes are added, so that there is always one more to cut at. MATERIALIZED keeps SQLite from cutting the same again in each step. (DuckDB: split_part(url, '/', 4) is part 3.)
WITH part0 AS (
    SELECT auction, bidder, price, channel, url || '//////' AS rest FROM bid
), part1 AS MATERIALIZED (
    SELECT auction, bidder, price, channel, substr(rest, instr(rest, '/') + 1) AS rest FROM part0
), part2 AS MATERIALIZED (
    SELECT auction, bidder, price, channel, substr(rest, instr(rest, '/') + 1) AS rest FROM part1
), part3 AS MATERIALIZED (
    SELECT auction, bidder, price, channel, substr(rest, instr(rest, '/') + 1) AS rest FROM part2
), part4 AS MATERIALIZED (
    SELECT auction, bidder, price, channel, substr(rest, 1, instr(rest, '/') - 1) AS dir1,
        substr(rest, instr(rest, '/') + 1) AS rest FROM part3
), part5 AS MATERIALIZED (
    SELECT auction, bidder, price, channel, dir1, substr(rest, 1, instr(rest, '/') - 1) AS dir2,
        substr(rest, instr(rest, '/') + 1) AS rest FROM part4
)
SELECT auction, bidder, price, channel, dir1, dir2, substr(rest, 1, instr(rest, '/') - 1) AS dir3
FROM part5;
