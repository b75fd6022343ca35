-- A run writes a row whenever a category's average changes. What it ends with is the row of the most auctions and the highest total:
-- both only grow.
WITH ranked AS (
    SELECT category, auctions, total, average,
        row_number() OVER (PARTITION BY category ORDER BY auctions DESC, total DESC) AS rank
    FROM result
)
SELECT category, auctions, total, average
FROM ranked
WHERE rank = 1;
