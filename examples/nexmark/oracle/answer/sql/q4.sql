-- q4, average price of a category: the mean of the highest valid bids of its auctions. A bid is valid from its auction's
-- beginning to its end, both included. An auction without a valid bid does not count. Fractions are cut off.
WITH final AS (
    SELECT auction.id, auction.category, max(bid.price) AS price
    FROM auction
    JOIN bid ON bid.auction = auction.id
        AND bid.date_time BETWEEN auction.date_time AND auction.expires
    GROUP BY auction.id, auction.category
), category AS (
    SELECT category, count(*) AS auctions, CAST(sum(price) AS BIGINT) AS total
    FROM final
    GROUP BY category
)
SELECT category, auctions, CAST((total - total % auctions) / auctions AS BIGINT) AS average, 0 AS lost, 0 AS doubled
FROM category;
