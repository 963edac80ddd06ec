SELECT
    customers.id AS customer_id,
    customers.name,
    count(*) AS orders,
    sum(orders.quantity * products.price) AS revenue
FROM {{ source('shop', 'orders') }} AS orders
JOIN {{ source('shop', 'customers') }} AS customers ON customers.id = orders.customer_id
JOIN {{ source('shop', 'products') }} AS products ON products.id = orders.product_id
WHERE orders.status = 'paid'
GROUP BY ALL
