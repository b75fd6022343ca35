-- A run writes a row whenever a category's average changes, with version 1, 2 and so on. The last one is
-- what it ends with. Of the versions before it none may be lost or doubled.
WITH ranked AS (
    SELECT category, auctions, average, version,
        row_number() OVER (PARTITION BY category ORDER BY version DESC) AS rank
    FROM result
), counted AS (
    SELECT category, count(*) AS written, count(DISTINCT version) AS versions
    FROM result
    GROUP BY category
)
SELECT ranked.category, ranked.auctions, ranked.average,
    ranked.version - counted.versions AS lost, counted.written - counted.versions AS doubled
FROM ranked
JOIN counted ON counted.category = ranked.category
WHERE ranked.rank = 1;
