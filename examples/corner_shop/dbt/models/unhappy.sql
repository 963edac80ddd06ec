SELECT customer_id, count(*) AS tickets
FROM {{ source('support', 'tickets') }}
GROUP BY customer_id
