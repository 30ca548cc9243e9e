"""The four fields of a line of JSON: one object, whose keys are the names of the columns.

A key counts in any case where exactly one key of the object fits; the name in exact lower case wins. The line must be
an object and nothing else, in which none of the four is there twice or is an object or an array itself. All other keys
may have any value.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp, memset

from txfast.batch.header cimport Fields
from txfast.text.csv_in cimport ROW_BYTES_MAX, Field, Syntax, default_syntax, trimmed
from txfast.text.json_in cimport (
    begins_with, is_nested, past_string, past_value, skip_json_blanks, write_unescaped,
)

cdef enum:
    # Room for the levels of nested values and then for the texts of the four fields: both are at most as long as a row.
    JSON_ROOM_BYTES = ROW_BYTES_MAX + 64
    # The longest of the four names, each byte as an escape.
    ESCAPED_NAME_BYTES_MAX = 36

# What a key names.
cdef enum Name:
    TYPE
    CLIENT
    TX
    AMOUNT
    NAMES
    OTHER_NAME = NAMES

cdef enum Step:
    MEMBER
    OBJECT_END
    NO_OBJECT  # the line breaks the grammar

# A key and its value in an object.
cdef struct Member:
    const uint8_t* key  # without quotes
    const uint8_t* key_end
    bint key_has_escapes
    const uint8_t* value  # a string with its quotes
    const uint8_t* value_end
    bint value_has_escapes

# The values that an object has for one of the names.
cdef struct Found:
    int count
    Member member  # the last of them


cdef inline Step next_member(
    const uint8_t** place,  # IN the line's start or the end of the last value, OUT the end of this one
    const uint8_t* end,  # IN the line's end
    const bint is_first,  # IN
    uint8_t* room,  # JSON_ROOM_BYTES, aligned for words; for lines of at most ROW_BYTES_MAX
    Member* member,  # OUT
) noexcept nogil:
    """Go to the next member of the object that a line is."""
    cdef const uint8_t* p = skip_json_blanks(place[0], end)
    if is_first:
        if p == end or p[0] != c'{':
            return NO_OBJECT
        p = skip_json_blanks(p + 1, end)
    if p == end:
        return NO_OBJECT
    if p[0] == c'}':
        return OBJECT_END if skip_json_blanks(p + 1, end) == end else NO_OBJECT
    if not is_first:
        if p[0] != c',':
            return NO_OBJECT
        p = skip_json_blanks(p + 1, end)
    if p == end or p[0] != c'"':
        return NO_OBJECT
    member.key = p + 1
    p = past_string(p, end, &member.key_has_escapes)
    if p == NULL:
        return NO_OBJECT
    member.key_end = p - 1
    p = skip_json_blanks(p, end)
    if p == end or p[0] != c':':
        return NO_OBJECT
    member.value = skip_json_blanks(p + 1, end)
    member.value_end = past_value(member.value, end, <uint64_t*>room, &member.value_has_escapes)
    if member.value_end == NULL:
        return NO_OBJECT
    place[0] = member.value_end
    return MEMBER


cdef inline bint is_name(const uint8_t* key, const char* name, const Py_ssize_t length, bint* is_exact) noexcept nogil:
    """Whether a key of this length is this name of lower-case letters, in any case."""
    cdef Py_ssize_t i
    for i in range(length):
        if key[i] | 0x20 != name[i]:  # 0x20 makes a lower-case letter of an upper-case one, and of nothing else
            return False
    is_exact[0] = memcmp(key, name, length) == 0
    return True


cdef inline Name name_of(const Member* member, bint* is_exact) noexcept nogil:
    """What a member's key names, and whether it does so in lower case."""
    cdef uint8_t[ESCAPED_NAME_BYTES_MAX] unescaped
    cdef const uint8_t* key = member.key
    cdef Py_ssize_t length = member.key_end - key
    is_exact[0] = False
    if member.key_has_escapes:
        if length > ESCAPED_NAME_BYTES_MAX:
            return OTHER_NAME
        length = write_unescaped(unescaped, key, member.key_end) - unescaped
        key = unescaped
    if length == 2:
        return TX if is_name(key, b"tx", 2, is_exact) else OTHER_NAME
    if length == 4:
        return TYPE if is_name(key, b"type", 4, is_exact) else OTHER_NAME
    if length == 6:
        if is_name(key, b"client", 6, is_exact):
            return CLIENT
        if is_name(key, b"amount", 6, is_exact):
            return AMOUNT
    return OTHER_NAME


cdef inline bint cut_object(
    const uint8_t* start,  # IN the line
    const uint8_t* end,  # IN its ending
    uint8_t* room,  # as in `next_member`; the fields may point into it
    Fields* fields,  # OUT
) noexcept nogil:
    """Cut a line of at most ROW_BYTES_MAX into the four fields. False where it is no such object."""
    cdef Found[2 * NAMES] found  # by name: in lower case, and in any other
    cdef const uint8_t* place = start
    cdef Member member
    cdef Step step
    cdef bint is_exact
    cdef Name name
    memset(found, 0, sizeof(found))
    step = next_member(&place, end, True, room, &member)
    while step == MEMBER:
        name = name_of(&member, &is_exact)
        if name != OTHER_NAME:
            found[2 * name + (not is_exact)].count += 1
            found[2 * name + (not is_exact)].member = member
        step = next_member(&place, end, False, room, &member)
    if step == NO_OBJECT:
        return False
    fields.has_quotes = fields.has_surplus = False
    return (
        take_value(&found[2 * TYPE], &room, &fields.type)
        and take_value(&found[2 * CLIENT], &room, &fields.client)
        and take_value(&found[2 * TX], &room, &fields.tx)
        and take_value(&found[2 * AMOUNT], &room, &fields.amount)
    )


cdef inline bint take_value(
    const Found* found,  # IN the two of a name
    uint8_t** room,  # IN, OUT where to write a text that has escapes; moved past it
    Field* field,  # OUT
) noexcept nogil:
    """Take the value of a name as a field: its text, trimmed. False where it is there twice, or nested."""
    cdef const Found* chosen = &found[0] if found[0].count else &found[1]
    cdef const uint8_t* start = chosen.member.value
    cdef const uint8_t* end = chosen.member.value_end
    cdef uint8_t* written
    cdef Syntax syntax = default_syntax()
    field.start = field.end = NULL
    field.quoted = False
    if chosen.count == 0:
        return True
    if chosen.count > 1 or is_nested(start[0]):
        return False
    if start[0] != c'"':
        # null is an empty field, true and false are texts.
        field.start = start
        field.end = start if begins_with(start, end, b"null", 4) else end
        return True
    start += 1
    end -= 1
    if chosen.member.value_has_escapes:
        written = write_unescaped(room[0], start, end)
        start = room[0]
        end = written
        room[0] = written
    field[0] = trimmed(start, end, &syntax)
    return True
