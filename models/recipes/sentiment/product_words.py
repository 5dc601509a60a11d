"""Words that users of a shop, an app or a help desk write: kept when the vocabulary shrinks."""

PRODUCT_WORDS = """
account accounts activate activation adapter address amazon android annual app apple apps assembly
attachment authentication automatic backup backpack bag balance bank barcode batteries battery
billing bitcoin bluetooth bonus booking box boxes brand broken browser bug bugs button buttons buyer
cable cables camera cancel cancellation cancelled canceled card cards cart cashback catalog charge
charged charger chargers charges charging checkout chrome chat claim cleaner clothing colour color
complaint complaints compatible computer confirm confirmation contact contract coupon coupons
courier crash crashed crashes credit crypto currency customer customers customs cvv damage damaged
dashboard data debit deal dealer defect defective defects delay delayed delays delete deliver
delivered deliveries delivery deposit desktop detergent device devices discount discounts display
document dollar dollars download downloads dress driver durable earbuds earphones ebay edition email
emails error errors euro euros exchange expired expires facebook fabric faulty feature features
feedback fee fees filter firmware fitness fragile free freezes furniture gadget gift gifts glitch
google guarantee guarantees guide handle hardware headphone headphones headset helmet help helpdesk
hotel hotline icon inbox install installation installed instagram instructions insurance internet
invoice invoices ios ipad iphone item items jacket jeans kettle keyboard kit label laptop late lens
license licence linux login logout luggage mac mail mailbox manual manuals manufacturer mattress
membership menu merchant message messages microphone microwave missing mobile modem monitor
monthly mouse netflix network newsletter notification notifications offer offers offline online
operator order ordered ordering orders outage outdated outlet overpriced package packages packaging
packet page parcel parcels partner parts password passwords paypal payment payments pc permission
phone phones photo pickup pixel plan plastic platform plug plugin policy postage prepaid premium
price prices pricing printer privacy processor product products profile promo promotion purchase
purchased purchases quality quantity queue quote receipt receipts recommend refill refund refunded
refunds refurbished reimbursement reliable remote renew renewal repair repaired repairs replace
replaced replacement reply request reservation reset resolution retail retailer return returned
returning returns review reviews router safari sale sales samsung scam scanner schedule screen
screens screenshot security seller sellers sensor server service services settings setup ship
shipment shipments shipped shipping shirt shirts shoes shop shopping signal size sizes sms sneakers
software sofa speaker speakers spam stars status steam sticker stock storage store stores streaming
style subscribe subscribed subscriber subscribers subscription subscriptions supplier support
surcharge switch sync tablet tag tax taxes technician terms ticket tickets timeout touchscreen
tracking transaction transactions transfer trial trolley twitter unauthorized uninstall unlock
unsubscribe update updated updates upgrade upgrades upload usb user username users vacuum validation
vat vendor vendors verification version video voucher waiting wallet warehouse warranties warranty
washer watch waterproof web webcam website websites whatsapp wifi windows wire wireless zip zipper
""".split()
