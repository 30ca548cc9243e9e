"""The fields of a line of JSON: one object, whose keys are the names of the columns.

A key counts in any case where exactly one key of the object fits; the name in exactly this case wins. The line must be
an object and nothing else, in which none of the keys that matter is there twice, or for two columns, or is an object or
an array itself. All other keys may have any value.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp, memset

from txfast.batch.header cimport Fields
from txfast.dialect.meaning cimport AMOUNT, CLIENT, CURRENCY, DEBIT, KEPT, ROLES_MAX, TX, TYPE, Words
from txfast.dialect.words cimport is_text, is_text_in_any_case
from txfast.text.csv_in cimport ROW_BYTES_MAX, Field, Syntax, default_syntax, trimmed
from txfast.text.json_in cimport (
    begins_with, is_nested, past_string, past_value, skip_json_blanks, write_unescaped,
)

cdef enum:
    # Room for the levels of nested values, or for a key, and then for the texts of the fields: each is at most as long
    # as a row.
    JSON_ROOM_BYTES = ROW_BYTES_MAX + 64
    DEFAULT_ROLES = 4  # type, client, tx and amount
    NO_ROLE = ROLES_MAX

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

# The values that an object has for one of the roles.
cdef struct Found:
    int count  # of keys in exactly this case
    int others  # of keys in any other
    Member member  # the last of those that are exact, or else of the others


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


cdef inline Field key_of(const Member* member, uint8_t* room) noexcept nogil:
    """The text of a member's key: in the line, or in `room` where it has escapes."""
    cdef Field key
    key.quoted = False
    key.start = member.key
    key.end = member.key_end
    if member.key_has_escapes:
        key.end = write_unescaped(room, member.key, member.key_end)
        key.start = room
    return key


cdef inline int default_role_of(const Field* key, bint* is_exact) noexcept nogil:
    """The role of a key by default, or NO_ROLE, and whether it is in lower case."""
    cdef Py_ssize_t length = key.end - key.start
    is_exact[0] = False
    if length == 2:
        return TX if is_name(key.start, b"tx", 2, is_exact) else NO_ROLE
    if length == 4:
        return TYPE if is_name(key.start, b"type", 4, is_exact) else NO_ROLE
    if length == 6:
        if is_name(key.start, b"client", 6, is_exact):
            return CLIENT
        if is_name(key.start, b"amount", 6, is_exact):
            return AMOUNT
    return NO_ROLE


cdef inline int role_of(const Member* member, const Words* keys, uint8_t* room) noexcept nogil:
    """The first role that a member's key has, in any case, or NO_ROLE. `keys` is NULL by default."""
    cdef Field key = key_of(member, room)
    cdef Py_ssize_t index
    cdef bint is_exact
    if keys == NULL:
        return default_role_of(&key, &is_exact)
    for index in range(keys.count):
        if is_text_in_any_case(&key, &keys.first[index]):
            return keys.first[index].kind
    return NO_ROLE


cdef inline void note(Found* found, const Member* member, const bint is_exact) noexcept nogil:
    """Note a member for a role."""
    if is_exact or not found.count:
        found.member = member[0]
    if is_exact:
        found.count += 1
    else:
        found.others += 1


cdef inline void note_member(
    const Member* member,  # IN
    const Words* keys,  # IN NULL by default
    uint8_t* room,  # for the key
    Found* found,  # IN and OUT by role
) noexcept nogil:
    """Note a member for each role that its key has."""
    cdef Field key = key_of(member, room)
    cdef Py_ssize_t index
    cdef bint is_exact
    cdef int role
    if keys == NULL:
        role = default_role_of(&key, &is_exact)
        if role != NO_ROLE:
            note(&found[role], member, is_exact)
        return
    for index in range(keys.count):
        if is_text_in_any_case(&key, &keys.first[index]):
            note(&found[<int>keys.first[index].kind], member, is_text(&key, &keys.first[index]))


cdef inline bint cut_object(
    const uint8_t* start,  # IN the line
    const uint8_t* end,  # IN its ending
    const Words* keys,  # IN the keys of a dialect, or NULL
    uint8_t* room,  # as in `next_member`; the fields may point into it
    Fields* fields,  # OUT
    Found* found,  # OUT of ROLES_MAX, by role
) noexcept nogil:
    """Cut a line of at most ROW_BYTES_MAX into its fields. False where it is no such object."""
    cdef int roles = DEFAULT_ROLES if keys == NULL else ROLES_MAX
    cdef const uint8_t* place = start
    cdef Member member
    cdef Step step
    cdef int role
    memset(found, 0, roles * sizeof(Found))
    step = next_member(&place, end, True, room, &member)
    while step == MEMBER:
        note_member(&member, keys, room, found)
        step = next_member(&place, end, False, room, &member)
    if step == NO_OBJECT:
        return False
    for role in range(roles):
        if not is_one_plain_value(&found[role]):
            return False
    if keys != NULL and has_shared_key(found):
        return False
    fields.has_quotes = fields.has_surplus = False
    take_value(&fields.type, &found[<int>TYPE], &room)
    take_value(&fields.client, &found[<int>CLIENT], &room)
    take_value(&fields.tx, &found[<int>TX], &room)
    take_value(&fields.amount, &found[<int>AMOUNT], &room)
    if keys != NULL:
        take_more_values(found, &room, fields)
    return True


cdef inline bint has_shared_key(const Found* found) noexcept nogil:
    """Whether one key is for two columns. It may also be for one of those that tell whether the row is read."""
    cdef int role, other
    for role in range(<int>KEPT):
        for other in range(role):
            if is_same_member(&found[role], &found[other]):
                return True
    return False


cdef inline void take_more_values(
    const Found* found,  # IN by role
    uint8_t** room,  # IN, OUT as in `take_value`
    Fields* fields,  # IN and OUT
) noexcept nogil:
    """Take the values that a dialect has beside those of the four columns."""
    cdef int role, other
    take_value(&fields.debit, &found[<int>DEBIT], room)
    take_value(&fields.currency, &found[<int>CURRENCY], room)
    fields.amount_is_number = is_number(&found[<int>AMOUNT])
    fields.debit_is_number = is_number(&found[<int>DEBIT])
    for role in range(<int>KEPT, <int>ROLES_MAX):
        # Many names may be those of one key, whose text has room once.
        for other in range(role):
            if is_same_member(&found[role], &found[other]):
                fields.kept[role - KEPT] = field_of(fields, other)
                break
        else:
            take_value(&fields.kept[role - KEPT], &found[role], room)


cdef inline Field field_of(const Fields* fields, const int role) noexcept nogil:
    """The field of a role."""
    if role == TYPE:
        return fields.type
    if role == CLIENT:
        return fields.client
    if role == TX:
        return fields.tx
    if role == AMOUNT:
        return fields.amount
    if role == DEBIT:
        return fields.debit
    return fields.currency if role == CURRENCY else fields.kept[role - KEPT]


cdef inline bint is_there(const Found* found) noexcept nogil:
    return found.count + found.others != 0


cdef inline bint is_same_member(const Found* one, const Found* other) noexcept nogil:
    return is_there(one) and is_there(other) and one.member.value == other.member.value


cdef inline bint is_one_plain_value(const Found* found) noexcept nogil:
    """Whether the key of a role is there once, with a value that is not nested, or not at all."""
    if not is_there(found):
        return True
    return (found.count or found.others) == 1 and not is_nested(found.member.value[0])


cdef inline bint is_number(const Found* found) noexcept nogil:
    """Whether a value is there that is no string."""
    return is_there(found) and found.member.value[0] != c'"'


cdef inline void take_value(
    Field* field,  # OUT
    const Found* found,  # IN
    uint8_t** room,  # IN, OUT where to write a text that has escapes; moved past it
) noexcept nogil:
    """A value as a field: its text, trimmed. `start` is NULL where the row has none."""
    cdef const uint8_t* start = found.member.value
    cdef const uint8_t* end = found.member.value_end
    cdef uint8_t* written
    cdef Syntax syntax = default_syntax()
    field.start = field.end = NULL
    field.quoted = False
    if not is_there(found):
        return
    if start[0] != c'"':
        # null is an empty field, true and false are texts.
        field.start = start
        field.end = start if begins_with(start, end, b"null", 4) else end
        return
    start += 1
    end -= 1
    if found.member.value_has_escapes:
        written = write_unescaped(room[0], start, end)
        start = room[0]
        end = written
        room[0] = written
    field[0] = trimmed(start, end, &syntax)
