"""Likely names: what other programs, in several languages, call the columns of a transactions file, and its words.

Each table is a guess, for hints and for profiles that a person looks over; no reader uses it. This module must not know
what a file is.
"""

import re

from txfast.dialect.names import KINDS, OTHER_WORDS

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

# By role: the names of its column, the likeliest first. They are as `plain` makes them; what looks like a blank in the
# table divides names.
COLUMNS = {
    "type": """
        type transactiontype txtype txntype trxtype paymenttype eventtype kind event operation operationtype action
        entrytype recordtype transactionkind reportingcategory category transactioncode
        buchungsart vorgang vorgangsart transaktionsart transaktionstyp umsatzart zahlungsart art typ buchungstext
        tipo tipodeoperación tipodeoperacion tipooperación tipooperacion tipodemovimiento tipomovimiento
        tipodetransacción tipodetransaccion tipotransazione tipooperazione operazione tipodetransação operação
        typedopération typeopération typeoperation typedetransaction opération nature
        transactietype soort soorttransactie mutatiesoort typtransakcji rodzajtransakcji rodzaj
        取引種別 種別 交易类型 类型
    """,
    "client": """
        client clientid clientnumber clientno customer customerid customernumber customerno account accountid
        accountnumber accountno user userid member memberid payer payerid wallet walletid cardholderid holderid holder
        owner ownerid party partyid accountholder
        kunde kundennummer kundennr kundenid kundennummern konto kontonummer kontonr kontoid auftraggeber
        cliente idcliente clienteid númerodecliente numerodecliente cuenta númerodecuenta numerodecuenta nrocuenta
        usuario titular
        compte numérodecompte numerodecompte ncompte nocompte titulaire numéroclient numeroclient
        conto numeroconto numerodiconto utente codicecliente conta númerodaconta usuário
        klant klantnummer klantid rekening rekeningnummer klient numerklienta rachunek nrrachunku iban
        顧客 顧客番号 口座 口座番号 客户 账户
    """,
    "tx": """
        tx txid txn txnid trx trxid transaction transactionid transactionnumber transactionno transactionref
        transactionreference balancetransactionid paymentid chargeid payment operationid eventid reference ref
        referenceid referencenumber referenceno refno refid externalreference externalid sourceid entry entryid entryno
        recordid order orderid ordernumber orderno voucher receipt receiptno documentno invoice invoiceno code id uuid
        guid nr no beleg belegnr belegnummer buchungsnummer referenz referenznummer referenznr transaktion
        transaktionsnummer transaktionsid transaktionsnr vorgangsnummer auftragsnummer auftragsnr nummer
        referencia númerodereferencia idtransacción idtransaccion idoperación idoperacion númerodeoperación
        numerodeoperacion folio
        référence numérodetransaction idtransaction numéro pièce numeropiece
        riferimento numerooperazione idtransazione numero referência
        kenmerk transactieid transactienummer volgnr numer numertransakcji nrtransakcji
        取引番号 交易号
    """,
    "amount": """
        amount transactionamount amt gross grossamount amountgross value sum total totalamount amountpaid paidamount
        money net netamount amountnet settlementnetamount quantity
        betrag umsatz wert summe brutto bruttobetrag buchungsbetrag
        importe monto cantidad valor importo montante
        montant somme montantbrut bedrag kwota
        金額 取引金額 金额
    """,
    "currency": """
        currency currencycode transactioncurrency cur ccy währung moneda divisa devise valuta moeda
    """,
    "credit": """
        credit credits creditamount amountcredit paidin moneyin in deposit deposits received
        haben gutschrift gutschriften eingang eingänge einnahmen einzahlung
        abono abonos haber ingreso ingresos crédit crédits créditos crédito entrées entrate entrata avere accrediti
        bij bijschrijving uznania wpływy
    """,
    "debit": """
        debit debits debitamount amountdebit paidout moneyout out withdrawal withdrawals spent
        soll lastschrift lastschriften belastung belastungen ausgang ausgänge ausgaben auszahlung
        cargo cargos debe gasto gastos egresos débit débits débitos débito sorties uscite uscita dare addebiti
        af afschrijving obciążenia wydatki
    """,
}  # fmt: skip
# No header has more names.
NAMES_MAX = 2_000
RANKS = {role: {name: rank for rank, name in enumerate(names.split())} for role, names in COLUMNS.items()}
# Names of columns that say whether a row counts.
STATUS_NAMES = {
    "status", "state", "paymentstatus", "transactionstatus", "zustand", "buchungsstatus", "estado", "état", "etat",
    "statut", "stato", "situação", "statustransakcji", "状態", "状态",
}  # fmt: skip
# Codes that stand behind a name, as in "Amount EUR": they are no part of it.
CODES = {"eur", "usd", "gbp", "chf", "jpy", "cny", "sek", "nok", "dkk", "pln", "brl", "mxn", "cad", "aud", "inr"}

# By type: words of other programs for it, with low lines where these have blanks or hyphens.
TYPE_WORDS = {
    "deposit": """
        credit sale payment charge capture captured cash_in cashin pay_in payin paid_in top_up topup load funding
        incoming received receive transfer_in money_in gutschrift einzahlung zahlungseingang eingang abono depósito
        deposito ingreso venta cobro crédit dépôt versement vente encaissement accredito versamento storting
        bijschrijving wpłata
    """,
    "withdrawal": """
        debit payout pay_out paid_out cash_out cashout disbursement transfer_out money_out outgoing sent lastschrift
        auszahlung abbuchung abhebung belastung zahlungsausgang ausgang retiro retirada cargo débit retrait prélèvement
        addebito prelievo opname afschrijving wypłata
    """,
    "dispute": """
        disputed dispute_opened dispute_created inquiry claim retrieval disputa litige contestation reclamo reklamation
    """,
    "resolve": "resolved dispute_resolved dispute_won won dispute_closed_won",
    "chargeback": """
        charge_back charged_back lost dispute_lost cb_lost chargeback_lost rückbelastung contracargo rétrofacturation
    """,
    "refund": """
        refunded repayment reimbursement partial_refund erstattung rückerstattung rückzahlung reembolso devolución
        devolucion remboursement rimborso terugbetaling zwrot
    """,
    "reversal": """
        representment undo chargeback_reversal reversed_chargeback dispute_reversal chargeback_reversed
    """,
}
WORDS = {word: kind for kind, words in TYPE_WORDS.items() for word in words.split()}
# Words that programs use for other types too: a payment goes in or out, a charge may be a fee, an inquiry may move
# nothing.
AMBIGUOUS_WORDS = {"payment", "charge", "claim", "inquiry", "retrieval", "reklamation", "reclamo", "lost", "undo"}
# Words of a status: of rows that have happened, and of rows that have not.
FINAL_WORDS = {
    "completed", "complete", "settled", "succeeded", "success", "successful", "paid", "booked", "posted", "done",
    "cleared", "captured", "approved", "processed", "ok", "finished", "executed", "abgeschlossen", "gebucht",
    "erledigt", "ausgeführt", "completado", "completada", "pagado", "pagada", "liquidado", "terminé", "effectué",
    "payé", "comptabilisé", "completato", "eseguito", "contabilizzato", "voltooid", "geboekt", "zakończona",
}  # fmt: skip
OTHER_STATUS_WORDS = {
    "pending", "denied", "declined", "failed", "failure", "canceled", "cancelled", "expired", "rejected", "voided",
    "void", "error", "processing", "in_progress", "created", "authorized", "authorised", "open", "on_hold", "blocked",
    "initiated", "incomplete", "requires_action", "unpaid", "scheduled", "draft", "offen", "ausstehend", "vorgemerkt",
    "abgelehnt", "storniert", "fehlgeschlagen", "pendiente", "rechazado", "rechazada", "cancelado", "cancelada",
    "fallido", "fallida", "en_attente", "refusé", "annulé", "échoué", "in_sospeso", "rifiutato", "annullato",
    "openstaand", "geweigerd",
}  # fmt: skip


def plain(name: str) -> str:
    """The letters and digits of a name of a column in lower case, without what stands in parentheses, and without the
    code of a currency behind it."""
    words = re.findall(r"\w+", name.partition("(")[0].lower().replace("_", " ").replace("'", ""))
    if len(words) > 1 and words[-1] in CODES:
        del words[-2 if len(words) > 2 and words[-2] == "in" else -1 :]
    return "".join(words)


def likely_columns(names: "Sequence[str]", roles: "Sequence[str]") -> dict[str, str]:
    """The likely column of each role, as far as there is one. A column has one role: that of the likeliest name. Names
    beyond NAMES_MAX are not looked at."""
    found: dict[str, str] = {}
    ranked = sorted(
        (RANKS[role][name], order, index)
        for index, name in enumerate(map(plain, names[:NAMES_MAX]))
        for order, role in enumerate(roles)
        if name in RANKS[role]
    )
    taken: set[int] = set()
    for _, order, index in ranked:
        if roles[order] not in found and index not in taken:
            found[roles[order]] = names[index]
            taken.add(index)
    return {role: found[role] for role in roles if role in found}


def is_likely(name: str, role: str) -> bool:
    """Whether a column of this name is likely to have a role."""
    return plain(name) in RANKS[role]


def word_key(word: str) -> str:
    """A word as the tables have it."""
    return re.sub(r"[\s\-]+", "_", word.strip().lower())


def likely_type(word: str) -> str | None:
    """The type that a word of another program means, or that it is; None where nothing speaks for one."""
    for each in keys_of(word):
        if each in KINDS or each in OTHER_WORDS or each in WORDS:
            return each if each in KINDS else OTHER_WORDS.get(each) or WORDS[each]
    return None


def is_ambiguous(word: str) -> bool:
    """Whether a word that has a likely type often means another one."""
    return not AMBIGUOUS_WORDS.isdisjoint(keys_of(word))


def keys_of(word: str) -> tuple[str, str]:
    """A word as the tables have it, and its singular."""
    key = word_key(word)
    return key, key.removesuffix("s")


def is_known_type(word: str) -> bool:
    """Whether a word is one that the default dialect knows, in any case of the letters A to Z."""
    lowered = word.encode().lower().decode()
    return lowered in KINDS or lowered in OTHER_WORDS
