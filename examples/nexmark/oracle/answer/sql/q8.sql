-- q8, monitor new users: who came and opened an auction in the same window of 10 s. A person is a result once, however many auctions.
SELECT DISTINCT person.id, person.name, person.date_time - person.date_time % 10000 AS starttime
FROM person
JOIN auction ON auction.seller = person.id
    AND auction.date_time - auction.date_time % 10000 = person.date_time - person.date_time % 10000;
