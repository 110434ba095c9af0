"""Well-known labels of values that are easily taken for something else.

Responsible for words only, in the languages that business documents here are written in; a recipe's
own aliases always win over them.  Invariant: no entry names a seller, a product or a layout.
"""

from __future__ import annotations

from collections.abc import Mapping

OTHER_LABELS: Mapping[str, tuple[str, ...]] = {
    "customer number": (
        "Kundennummer", "Kunden-Nr", "Kunden Nummer", "Kundennr", "Kd-Nr", "Kd.Nr", "KdNr", "Ihre Kundennummer",
        "Ihre Nummer", "Debitor", "Debitorennummer", "customer number", "customer no", "customer id", "customer #", "customer code",
        "client number", "client no", "client id", "account number", "account no", "acc no", "a/c no", "member no",
        "member id", "membership no", "numéro client", "numéro de client", "n° client", "no client", "code client", "réf client",
        "klantnummer", "número de cliente", "n.º cliente", "codice cliente", "numer klienta", "客户编号", "会员号",
    ),
    "tax number": (
        "USt-IdNr", "USt.-Id.-Nr.", "USt-ID", "UStID", "USt-Id-Nr", "Umsatzsteuer-Identifikationsnummer", "Umsatzsteuer-ID",
        "Steuernummer", "Steuer-Nr", "St-Nr", "StNr", "UID", "UID-Nr", "VAT number", "VAT no", "VAT reg no", "VAT ID", "VAT-ID", "VAT registration number",
        "VAT id no", "customer VAT number", "your VAT number", "tax id", "tax number", "tax no", "TIN", "EIN", "ABN", "GSTIN", "GST reg no", "GST no", "GST id",
        "GST id no", "GST registration no", "SST no", "SST id", "numéro TVA", "n° TVA", "no TVA", "n° TVA client", "TVA intracommunautaire",
        "n° TVA intracommunautaire", "SIRET", "SIREN", "RCS", "APE", "BTW-nummer", "btw nr", "btw-id", "NIF", "CIF", "NIPC", "partita IVA", "P.IVA", "codice fiscale", "NIP",
        "纳税人识别号", "统一社会信用代码", "税号",
    ),
    "register number": (
        "HRB", "HRA", "HRB Nr", "HRA Nr", "Handelsregister", "Handelsregisternummer", "Registernummer", "company no", "company number", "company reg no",
        "co reg no", "co no", "reg no", "registration no", "registration number", "KvK", "KvK-nummer", "roc no", "WEE-Reg-Nr",
    ),
    "order number": (
        "Bestellnummer", "Bestell-Nr", "Bestellung", "Bestellung Nr", "Ihre Bestellung", "Ihre Bestellnummer", "Auftragsnummer", "Auftrags-Nr", "Auftrag",
        "Auftrag-Nr", "Auftrag-Nr-Lief", "order number", "order no", "order #", "order id", "order", "your order", "purchase order", "purchase order no", "PO number",
        "PO no", "PO #", "P.O. number", "sales order", "sales order no", "so no", "numéro de commande", "n° de commande", "n° commande", "commande",
        "commande n°", "bon de commande", "bestelnummer", "ordernummer", "número de pedido", "pedido", "numero ordine", "ordine", "numer zamówienia", "订单号", "订单编号",
    ),
    "reference": (
        "Ihre Referenz", "Ihr Zeichen", "Unser Zeichen", "Unsere Referenz", "Referenz", "Referenznummer", "Referenz des Käufers", "Buchungsreferenz", "Weitere Referenz",
        "Zahlungsreferenz", "Verwendungszweck", "your reference", "your ref", "our reference", "our ref", "ref no", "reference no", "reference number", "reference", "ref",
        "payment reference", "agreement ref", "votre référence", "notre référence", "référence", "réf marché", "réf", "kenmerk", "uw kenmerk", "referencia",
        "riferimento", "Leitweg-ID", "Projekt", "Projektnummer", "project", "project no", "Reklamationsnummer", "ticket no", "case no", "approval code", "appr code", "trace no",
        "terminal id", "TID", "MID", "batch no", "slip no", "counter no", "till no", "pos no", "table no", "queue no", "serial no", "Zähler-Nr", "Zählpunkt",
    ),
    "delivery note": (
        "Lieferschein", "Lieferschein-Nr", "Lieferscheinnummer", "Lieferavis", "Lieferung Nr", "delivery note", "delivery note no", "delivery order", "do no", "packing slip",
        "shipment no", "tracking number", "tracking no", "bon de livraison", "n° bon de livraison", "pakbon", "albarán", "bolla", "ddt",
    ),
    "contract number": (
        "Vertrag", "Vertragsnummer", "Vertrags-Nr", "Vertragskonto", "Versicherungsnummer", "VSNR", "Versicherungsschein-Nr", "contract", "contract no", "contract number", "policy no",
        "contrat", "n° de contrat", "numéro de contrat", "contractnummer", "contrato", "contratto", "合同编号", "合同号",
    ),
    "earlier invoice": (
        "Ursprungsbeleg-Nr", "Ursprungsbeleg", "Originalrechnung", "zu Rechnung", "zur Rechnung", "original invoice", "original invoice no", "related invoice",
        "facture liée", "facture d'origine", "sur facture", "oorspronkelijke factuur", "factura rectificada",
    ),
    "document code": (
        "Geschäftsprozess", "Anwendungsempfehlung", "ZUGFeRD-Version", "Stylesheet-Version", "Codelisten-Version", "version", "Seite", "page", "pagina", "blatt",
    ),
    "article": (
        "Artikelnummer", "Artikel-Nr", "Art-Nr", "Art-Nr-Kunde", "Art-Nr-Lief", "Art-Nr-Lieferant", "article no", "item no", "item code", "item", "SKU", "part no", "product code", "GTIN", "EAN", "EAN-VKE",
        "référence article", "artikelnummer", "GLN", "Globale Nummer", "Lief-Nr", "Lieferantennummer", "supplier no", "vendor no", "Personalnr", "Kennzeichen",
    ),
    "bank": (
        "IBAN", "BIC", "SWIFT", "Konto", "Kontonummer", "Konto-Nr", "Kto", "Kto-Nr", "BLZ", "Bankleitzahl", "sort code", "bank account", "bank account no", "routing number", "account", "compte",
        "rekeningnummer", "cuenta", "开户行", "账号", "银行账号",
    ),
    "phone": (
        "Tel", "Telefon", "Telephone", "Phone", "Fon", "Fax", "Telefax", "Mobil", "Mobile", "Handy", "Hotline", "H/P", "Tel No", "Fax No", "Tel/Fax", "Tél", "Téléphone", "Télécopie", "Teléfono", "Telefono", "电话", "传真", "手机",
    ),
    "post code": ("PLZ", "Postfach", "postal code", "zip", "zip code", "code postal", "P.O. Box", "邮编"),
    "delivery date": (
        "Lieferdatum", "Liefer- und Leistungsdatum", "Leistungsdatum", "Leistungs-Datum", "Liefer-/Leistungsdatum", "Leistungszeitraum", "Liefer-/Leistungszeitraum", "Lieferzeitraum", "Abrechnungszeitraum",
        "Zeitraum", "Lieferschein-Datum", "Lieferscheindatum", "Versanddatum", "delivery date", "date of delivery", "date of supply", "supply date", "service date", "date of service", "service period", "billing period",
        "period", "ship date", "shipping date", "date shipped", "date de livraison", "date de prestation", "période", "leverdatum", "fecha de entrega", "data di consegna", "data dostawy", "data sprzedaży", "交货日期", "供货日期",
    ),
    "order date": (
        "Bestelldatum", "Bestell-Datum", "Auftragsdatum", "Auftrag-Datum-Lief", "order date", "date of order", "date ordered", "date de commande", "besteldatum", "fecha de pedido", "data ordine", "订单日期",
    ),
    "due date": (
        "Fälligkeit", "Fälligkeitsdatum", "Fällig", "fällig am", "fällig bis", "zahlbar bis", "zahlbar bis zum", "Zahlungsziel", "Zahlung bis", "bitte überweisen Sie bis", "bitte überweisen Sie bis zum", "bitte zahlen Sie bis",
        "due date", "due", "due by", "due on", "payment due", "payment due date", "pay by", "payable by", "please pay by", "please remit until", "please remit by", "date d'échéance", "échéance", "à payer avant", "à régler avant le", "vervaldatum", "te betalen voor",
        "fecha de vencimiento", "vencimiento", "data di scadenza", "scadenza", "termin płatności", "Skonto", "Skonto bis", "付款期限", "到期日", "支払期限",
    ),
    "other date": (
        "Druckdatum", "Ausdruck", "printed", "printed on", "print date", "valid until", "valid to", "gültig bis", "gültig ab", "valable jusqu'au", "expiry", "expiry date", "exp date", "best before", "birth date", "date of birth", "Geburtsdatum",
        "check-in", "check-out", "Übergabe", "Rückgabe", "Anreise", "Abreise", "arrival", "departure", "Schreiben vom", "Telefonat vom", "effective", "w.e.f", "since", "seit",
    ),
    "net": (
        "Nettobetrag", "Netto", "Summe netto", "Nettosumme", "Nettowert", "Gesamt netto", "Gesamtbetrag netto", "Rechnungssumme ohne USt", "Summe ohne USt", "Positionssumme", "Warenwert", "Zwischensumme", "Basisbetrag",
        "net", "net total", "net amount", "nett amount", "subtotal", "sub total", "sub-total", "sub-total rm", "subtotal rm", "total net", "total before tax", "total excl tax", "total excluding tax", "total excl vat", "total excl gst", "total excluding gst", "total (excluding gst)",
        "total without tax", "taxable amount", "taxable", "total HT", "total hors taxe", "montant HT", "sous-total", "prix HT", "subtotaal", "totaal excl btw", "base imponible", "imponibile", "netto razem", "不含税金额", "小计", "小計",
    ),
    "tax": (
        "Steuerbetrag", "Steuer", "MwSt", "MwSt-Betrag", "Mehrwertsteuer", "USt", "USt-Betrag", "Umsatzsteuer", "zzgl USt", "zuzüglich USt", "zuzügl USt", "USt Gesamt", "Versicherungsteuer", "enthaltene MwSt", "davon MwSt",
        "tax", "tax total", "total tax", "total taxes", "tax amount", "VAT", "VAT amount", "VAT total", "total VAT", "sales tax", "GST", "GST amount", "total GST", "GST payable", "service tax", "SST", "service charge", "TVA", "montant TVA", "total TVA", "BTW", "totaal btw", "IVA", "IVA totale", "税额", "消費税",
    ),
    "paid": (
        "Anzahlung", "Anzahlungen", "erhaltene Anzahlungen", "bereits gezahlt", "bezahlt", "Zahlbetrag", "noch zu zahlen", "offener Betrag", "Restbetrag", "Gegeben", "Bar", "Rückgeld", "paid", "amount paid", "paid amount", "payment", "payments", "deposit", "advance", "down payment", "balance", "balance due",
        "residual", "outstanding", "cash", "cash tendered", "cash received", "tender", "tendered", "amount tendered", "change", "change due", "visa", "mastercard", "master card", "credit card", "debit card", "card", "tunai", "baki", "rounding", "rounding adj", "rounding adjustment", "round adj", "rnd adj", "pembundaran",
        "acompte", "acomptes", "solde", "solde à payer", "reste à payer", "net à payer", "réglé", "règlement", "rendu", "aanbetaling", "betaald", "wisselgeld", "anticipo", "pagado", "cambio", "实收", "找零", "已付",
    ),
    "discount": (
        "Rabatt", "Abschlag", "Abschläge", "Gesamtbetrag der Abschläge", "Zuschläge", "Gesamtbetrag der Zuschläge", "Nachlass", "Skontobetrag", "Versandkosten", "Fracht", "discount", "total discount", "disc", "saving", "savings", "total saving", "total savings", "you saved", "shipping", "freight",
        "remise", "escompte", "rabais", "frais de port", "korting", "descuento", "sconto", "points", "total points", "折扣", "优惠",
    ),
    "quantity": (
        "Menge", "Anzahl", "Stück", "Gesamtmenge", "qty", "quantity", "total qty", "total quantity", "total item", "total items", "no of items", "item count", "items", "quantité", "aantal", "cantidad", "数量",
    ),
    "unit price": (
        "Einzelpreis", "Preis", "Nettopreis", "Bruttopreis", "Stückpreis", "unit price", "price", "u.price", "rate", "prix unitaire", "stuksprijs", "precio", "prezzo", "单价", "Umrechnungskurs", "exchange rate", "Stammkapital", "Grundkapital", "share capital", "capital", "capital de", "au capital de",
    ),
    "recipient of goods": (
        "Warenempfänger", "Abweichender Warenempfänger", "Lieferadresse", "Lieferanschrift", "Lieferung an", "Leistungsort", "ship to", "shipped to", "deliver to", "delivery address", "shipping address", "adresse de livraison", "livré à", "afleveradres", "dirección de envío", "indirizzo di consegna", "收货人", "收货地址",
    ),
    "contact": (
        "Ansprechpartner", "Sachbearbeiter", "Bearbeiter", "Kontakt", "Geschäftsführer", "Geschäftsführerin", "Geschäftsführung", "Vorstand", "Prokurist", "Prokuristin", "Aufsichtsrat", "contact", "contact person", "sales contact", "salesperson", "sales person", "sales rep", "attn", "attention", "prepared by", "cashier", "served by", "server", "staff", "director", "managing director",
        "contact commercial", "interlocuteur", "gérant", "contactpersoon", "contacto", "contatto", "Besteller", "联系人", "收银员",
    ),
    "bank account holder": (
        "Kontoinhaber", "Kontoname", "Verkäufer-Kontoname", "account holder", "account name", "beneficiary", "payee", "titulaire", "titulaire du compte", "rekeninghouder", "titular", "intestatario", "Bank", "Banque", "bank name", "户名",
    ),
    "other party": (
        "Steuerbevollmächtigter", "Steuerbevollmächtigter des Verkäufers", "Abweichender Zahlungsempfänger", "Zahlungsempfänger", "Abweichender Rechnungsempfänger", "Handelsname", "tax representative", "notify party", "carrier", "Spediteur", "agent",
    ),
}  # fmt: skip
