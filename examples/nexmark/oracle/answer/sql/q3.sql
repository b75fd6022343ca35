-- q3, local item suggestion: who sells something of category 10 in Oregon, Idaho or California. The join has no
-- window: person and auction may be any time apart, in either order.
SELECT person.name, person.city, person.state, auction.id
FROM auction
JOIN person ON auction.seller = person.id
WHERE auction.category = 10
  AND person.state IN ('OR', 'ID', 'CA');
