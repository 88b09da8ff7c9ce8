# The texts for people in English. CONTRIBUTING.md says how a text is added. A brace is written {"{"}.

## Problems: title and usual detail of each code

problem-malformed-json-title = Malformed JSON
problem-malformed-json-detail = The body is not valid JSON.
problem-api-key-missing-title = API key missing
problem-api-key-missing-detail = Send the key in the header X-Billing-API-Key.
problem-api-key-invalid-title = API key invalid
problem-api-key-invalid-detail = The key in X-Billing-API-Key does not exist. Check that it was copied whole, beginning with regua_.
problem-api-key-inactive-title = API key inactive
problem-api-key-inactive-detail = The key was deactivated, or the account is suspended. Contact the account's administrator.
problem-api-key-expired-title = API key expired
problem-api-key-expired-detail = The key has expired. Ask for a new one.
problem-quota-exceeded-title = Quota exceeded
problem-quota-exceeded-detail = The plan's limit is reached.
problem-not-authenticated-title = Not authenticated
problem-not-authenticated-detail = Log in at POST /api/v1/auth/login and send the access_token as Authorization: Bearer, or log in to the console again.
problem-login-failed-title = Login refused
problem-login-failed-detail = The tenant, the e-mail, the password or the code is wrong.
problem-totp-required-title = Verification code required
problem-totp-required-detail = Send the six digits of the authenticator app as "totp", or a recovery code.
problem-token-invalid-title = Token invalid
problem-token-invalid-detail = The token does not exist, was used already, or has expired. Log in again, or ask for another invitation.
problem-forbidden-title = Forbidden
problem-forbidden-detail = Your role does not allow this.
problem-cross-site-title = Cross-site request
problem-cross-site-detail = The request came from another site's page. Use the console, or an access_token.
problem-name-taken-title = Name taken
problem-name-taken-detail = This name is already in use.
problem-in-use-title = In use
problem-in-use-detail = Another object still depends on it.
problem-webhook-secret-invalid-title = Webhook secret invalid
problem-webhook-secret-invalid-detail = The secret in X-Regua-Webhook-Secret is not the secret of this number. Set it up again with `regua instance webhook`.
webhook-tenant-suspended = The account is suspended, so its webhooks are not accepted.
problem-ip-not-allowed-title = IP address not allowed
problem-ip-not-allowed-detail = This key may not be used from the address that the request came from.
problem-template-type-not-allowed-title = Message type not allowed
problem-template-type-not-allowed-detail = This key may not send this type of message.
problem-not-found-title = Not found
problem-not-found-detail = There is nothing at this address. Check the path and the id.
problem-method-not-allowed-title = Method not allowed
problem-method-not-allowed-detail = This address does not accept this method. The header Allow lists the methods that it accepts.
problem-body-timeout-title = Incomplete body
problem-body-timeout-detail = The body of the request did not arrive completely in time. Repeat the request.
problem-batch-conflict-title = Batch already accepted with other contents
problem-batch-conflict-detail = A batch with this external_id was accepted before with other contents.
problem-state-conflict-title = Action not allowed in this state
problem-state-conflict-detail = The queue's state does not allow this action.
problem-body-too-large-title = Body too large
problem-body-too-large-detail = The body is larger than the limit. Split the contacts into several batches.
problem-unsupported-media-type-title = Unsupported media type
problem-unsupported-media-type-detail = Send the body as JSON, with the header Content-Type: application/json.
problem-validation-failed-title = Validation failed
problem-validation-failed-detail = Fields are wrong; the list "errors" says which and how to correct them. Nothing was accepted.
problem-no-valid-contact-title = No valid contact
problem-no-valid-contact-detail = No contact of the batch could be accepted; the list "errors" says why. Nothing was accepted.
problem-template-not-found-title = Template not found
problem-template-not-found-detail = There is no such template.
problem-instance-not-found-title = Instance not found
problem-instance-not-found-detail = There is no such instance.
problem-schema-too-costly-title = Template schema too costly
problem-schema-too-costly-detail = Checking the contacts against the template's JSON Schema takes too long. Nothing was stored. Simplify the schema.
problem-rate-limited-title = Too many requests
problem-rate-limited-detail = Too many requests. Wait for the seconds in the header Retry-After.
problem-internal-title = Internal error
problem-internal-detail = Something failed on our side. If it persists, give the request_id to support.
problem-overloaded-title = Service overloaded
problem-overloaded-detail = The service is overloaded at the moment. Repeat after the seconds in the header Retry-After: nothing was accepted.
problem-unavailable-title = Service unavailable
problem-unavailable-detail = The database did not answer. Repeat in some seconds with the same external_id: nothing is sent twice.

## The body, its fields and the query

body-not-an-object = The body must be a JSON object.
body-malformed = The body is not valid JSON: there is an error at line { $line }, column { $column }.
body-not-utf8 = The body is not UTF-8: there is the byte { $byte } at line { $line }, column { $column }. Send UTF-8, or name the charset: Content-Type: application/json; charset=windows-1252.
body-not-of-charset = The body is not in the charset { $charset } that the header Content-Type names.
body-damaged = The compressed body is damaged or incomplete. Send it again, or uncompressed.
body-content-type = The header Content-Type is "{ $sent }". Send JSON with Content-Type: application/json.
body-charset = The charset "{ $sent }" is unknown. Send UTF-8, or name charset=ISO-8859-1 or charset=windows-1252.
body-content-encoding = The compression "{ $sent }" is not accepted. Send with Content-Encoding: gzip or deflate, or uncompressed.
field-duplicate = The field appears more than once.
field-number = Send a whole number from { $least } to { $most }.
field-instant = Send date, time and offset, for example "2026-11-23T09:00:00-03:00".
field-required = The field is required.
field-wrong-type = The field must be { $type }.
field-unknown = There is no such field. Accepted fields: { $known }.
field-empty = The field is empty.
field-too-long = The field has { $length } characters; at most { $most } are accepted.
field-invisible-character = The field has the invisible character { $character }, which is not accepted. Delete it and type the passage again.
type-string = a string
type-boolean = true or false
type-object = an object
type-string-list = a list of at most { $most } strings
type-object-list = a list of objects
type-interval-list = a list of at most { $most } intervals
type-id = an id
object-too-large = The object has { $bytes } bytes of JSON; at most { $most } are accepted.
object-too-deep = The object is nested more than { $most } levels deep. Send a simpler one.
object-invisible-character = The object has the invisible character { $character }, which is not accepted. Remove it.
accepted-values = Accepted values: { $values }.
parameter-control-characters = Remove the control characters.
parameter-cursor = Use the value of "next_cursor" of the previous page unchanged.
parameter-limit = Send a number from 1 to { $most }.
parameter-unknown = There is no such parameter, or it is repeated. Accepted parameters: { $known }.

## Errors of one value: the id is the code of the error

name-invalid-characters = The name holds the invisible character { $character }, which is not taken. Delete it and send plain text.
name-empty = The name is empty. Give the contact's name.
name-too-long = The name has more than 200 characters. Send a shorter one.
phone-empty = The phone number is empty. Give area code and number, for example (11) 98888-7777.
phone-invalid-characters = The phone number holds letters or symbols. Use digits, spaces, parentheses, dots, hyphens and a leading + only.
phone-with-text = Words or symbols surround the phone number. Send the number alone: { $meant }.
phone-too-short = The phone number has too few digits. Give area code and number, for example (11) 98888-7777; abroad, +, country code and number.
phone-too-long = The phone number has too many digits. Give one number only, for example 11988887777 or +5511988887777.
phone-ninth-digit = A Brazilian mobile has nine digits after the area code and begins with 9; a landline has eight. Check your records. The number may be: { $meant }.
phone-service-number = Service numbers such as 0800 receive no messages. Give the contact's mobile with its area code.
phone-invalid = The phone number fits no numbering plan. Give area code and number, for example (11) 98888-7777; abroad, begin with + and the country code.
phone-invalid-ddd = { $area_code } is no Brazilian area code. Give area code and number, for example (11) 98888-7777; abroad, begin with +.
meant-one = It is probably "{ $value }": if so, send that.
meant-two = It may be "{ $first }" or "{ $second }": send the right one.
due-date-form = Send the day alone, such as 2026-11-10 or 10/11/2026 for 10 November 2026.
due-date-empty = The due date is empty. Send the day, such as 2026-11-10 or 10/11/2026 for 10 November 2026.
due-date-malformed = The due date "{ $text }" cannot be read. { $remedy }
due-date-swapped = Day and month of the due date "{ $text }" are swapped. { $remedy }
due-date-no-such-day = The day "{ $text }" is not in the calendar. { $remedy }
due-date-two-digit-year = The year of the due date "{ $text }" does not have four digits. { $remedy }
due-date-serial = The due date "{ $text }" is the number by which Excel stores a date. { $remedy } Format the column as a date in the spreadsheet.
due-date-time = The due date "{ $text }" has a time, and must be a day alone. { $remedy }
due-date-offset = The due date "{ $text }" has a time and an offset, and the day depends on the offset. { $remedy }
due-date-local-or-written = In São Paulo it is "{ $local }"; without regard to the offset, "{ $written }". Send the right day, without a time.
due-date-out-of-range = The due date's year must be between 2000 and 2100. Check the date.
amount-form = Send the amount in reais, such as 1234.56 or 1.234,56.
amount-empty = The amount is empty. Send it in reais, such as 1234.56 or 1.234,56.
amount-malformed = The amount "{ $text }" cannot be read. { $remedy }
amount-ambiguous = The amount "{ $text }" can be read in two ways: its separator may be of thousands or of decimals. { $remedy }
amount-thousands-or-decimals = If it is of thousands, send "{ $thousands }"; if it is of decimals, "{ $decimals }".
amount-thousands-or-third-decimal = If it is of thousands, send "{ $thousands }"; if it is of decimals, there are three, and an amount in reais has two at most.
amount-too-many-decimals = The amount "{ $text }" has more than two decimals. { $remedy }
amount-float-noise = The amount "{ $text }" has decimals that remain when a program computes with floats. { $remedy } Round to two decimals in the program before sending.
amount-scientific = The amount "{ $text }" is in scientific notation, in which spreadsheets lose digits. { $remedy } Format the column as a number in the spreadsheet.
amount-credit = The amount "{ $text }" is negative: it is a credit, and there is nothing to collect. Remove this contact from the batch.
amount-not-positive = The amount is zero: there is nothing to collect. Remove this contact from the batch, or send the open amount.
amount-percent = The amount "{ $text }" is a percentage. { $remedy }
amount-other-currency = The amount "{ $text }" is not in reais. { $remedy }
amount-too-large = The amount is above R$ 999,999,999.99. Check that it is in reais, and not in centavos.
phone-leading-zeros = Too many zeros precede the phone number. Send it without them: { $meant }.
phone-doubled-country-code = The country code of Brazil (55) is repeated. Send { $meant }.
phone-missing-country-code = The country code follows the +, and the 55 of Brazil is missing. Send { $meant }.
phone-missing-plus = The phone number has too many digits for Brazil. If it is abroad, send it with +: { $meant }.
phone-two-numbers = The field has more than one phone number. Send only one: { $meant }.
phone-two-readings = The last digit stands apart: it may belong to the number or name a second line. Check it and send one of these: { $meant }.
phone-extension = The phone number has an extension, which WhatsApp cannot reach. Send the contact's mobile; if the line itself has WhatsApp, send { $meant }.
phone-scientific = The phone number is in scientific notation, such as 1.19889E+10: the spreadsheet lost its last digits. Format the column as text and export it again from your records.
phone-whole-scientific = The phone number is in scientific notation, such as 1.1988887777E+10. Format the column as text. The number seems to be { $meant }.
phone-decimal = The phone number has decimals. Format the column as text, and give area code and number, for example (11) 98888-7777.
phone-cpf = The phone number looks like a CPF (three, three, three and two digits). Give area code and number, for example (11) 98888-7777.
phone-cnpj = The phone number looks like a CNPJ. Give area code and number, for example (11) 98888-7777 or +5511988887777.
phone-lid = The identifier ends in @lid: it is an internal code of WhatsApp and no phone number. Give area code and number, for example (11) 98888-7777.
phone-group = The identifier belongs to a WhatsApp group or channel and not to a person. Give the contact's area code and number, for example (11) 98888-7777.
phone-email = The phone number holds @, as an e-mail address does. Give area code and number, for example (11) 98888-7777.
reference-invalid = A reference has six characters, digits and letters without I, L, O and U, such as 7K3F9Q.
hours-weekday = There is no weekday { $weekday }: use 1 (Monday) to 7 (Sunday).
hours-past-midnight = Hours end at 24:00 at the latest; to go past midnight, add an interval on the next day.
hours-empty = Hours must open before they close, for example 08:00 to 18:00.

## Templates and messages: the id is the code of the error

template-forbidden-character = the invisible character { $character } is not allowed; delete it and type the passage again.
template-forbidden-markup = { $problem }
template-not-allowed = "{ $construct }" is not allowed. Use only {"{{variable}}"}, {"{{#if variable}}"}…{"{{else}}"}…{"{{/if}}"} and {"{{#unless variable}}"}…{"{{/unless}}"}.
template-unknown-helper = "{ $helper }" is no known command. The commands are if and unless; a variable stands alone, such as {"{{nome}}"}.
template-missing-condition = the variable after #{ $helper } is missing. Write, for example, {"{{"}#{ $helper } valor{"}}"}.
template-invalid-name = "{ $name }" is no variable name. Use unaccented lower-case letters, digits and _, for example {"{{primeiro_nome}}"}.
template-unclosed-block = the block {"{{"}#{ $helper } …{"}}"} is never closed. Add {"{{"}/{ $helper }{"}}"} where it ends.
template-unclosed-tag = {"{{"} was opened and never closed. End it with {"}}"}, for example {"{{nome}}"}.
template-unopened-block = {"{{"}/{ $helper }{"}}"} closes no block. Remove it or open {"{{"}#{ $helper } variable{"}}"} before.
template-mismatched-close = the open block is {"{{"}#{ $opened } …{"}}"}, but {"{{"}/{ $closed }{"}}"} closes it. Use {"{{"}/{ $opened }{"}}"}.
template-syntax = the template cannot be read: { $message }.
template-empty = the template is empty. Write the message's text.
template-too-long = the template has more than 4096 characters, WhatsApp's limit. Shorten it.
template-stray-braces = there are braces {"}}"} too many. Use exactly two on each side, for example {"{{nome}}"}.
template-else-outside-block = {"{{else}}"} may only stand between {"{{#if …}}"} and {"{{/if}}"}, or {"{{#unless …}}"} and {"{{/unless}}"}.
template-second-else = a block has one {"{{else}}"} at most. For more cases put another {"{{#if …}}"} inside it.
template-too-many-tags = the template has more than 256 variables and commands. Simplify it.
template-too-deep = blocks are nested more than eight deep. Simplify the conditions.
template-position = Line { $line }, column { $column }: { $problem }
template-variation-count = The template has { $count } variations; send 1 to { $most }.
template-variation = Variation { $variation }: { $problem }
active-text-link = the link "{ $found }" is not allowed. Write the whole link, beginning with https:// or http://, after a space.
active-text = "{ $found }" is not allowed: a message is plain text without scripts or active HTML, and its links begin with https:// or http://. Remove it.
missing-variable = The variable "{ $name }" that the template uses is missing. Send it in "variables", or put the passage between {"{{"}#if { $name }{"}}"} and {"{{/if}}"}.
message-blank = The message is blank with this data. Check the template's conditions.
message-too-long = The message has more than 4096 characters with this data. Shorten the template or the variables.
message-forbidden-markup = In the message, { $problem }
render-failed = The message could not be made: { $message }.

## Variables and their schema: the id is the code of the error

too-many-variables = { $count } variables were sent; at most { $most } are allowed. Send those that the template uses.
reserved-variable = The variable name "{ $name }" is reserved. Use another, for example "meu_{ $name }".
variable-invalid-name = "{ $name }" is no variable name. Use up to { $most } unaccented lower-case letters, digits and _, for example "link_boleto".
variable-not-scalar = The variable "{ $name }" must be a string, a number or a boolean; lists and objects are not taken.
variable-too-long = The variable "{ $name }" has more than { $most } characters. Send a shorter text.
variable-invalid-characters = The variable "{ $name }" holds the invisible character { $character }, which is not taken. Delete it; line feeds may stay.
variable-forbidden-markup = In the variable "{ $name }", { $problem }
schema-not-an-object = The JSON Schema must be an object, for example {"{"}"type": "object"{"}"}.
schema-too-long = The JSON Schema has more than { $most } bytes. Simplify it.
schema-too-deep = The JSON Schema is nested more than { $most } deep. Simplify it.
schema-too-many-patterns = The JSON Schema has more than { $most } patterns (pattern, patternProperties). Use fewer.
schema-too-costly = Checking a contact against the JSON Schema takes too many steps. Use fewer patterns, references and alternatives, and no schema with an "$id" of its own inside.
schema-reference = The reference "{ $reference }" is not allowed: nothing is fetched and nothing may go in circles. Point into "#/$defs/…", and from outside only.
schema-invalid = The JSON Schema is not valid at "{ $path }": { $message }.
variables-schema-required = The variable "{ $pointer }" that the template requires is missing. Send it in "variables".
variables-schema-additional = The template knows no variable "{ $pointer }". Remove it or mend its name.
variables-schema = The variable "{ $pointer }" breaks the rule "{ $keyword }" of the template's JSON Schema. Mend its value.

## Rules that hold or skip a contact

rule-already-final = Sending to this contact has already been concluded.
rule-queue-cancelled = The queue was cancelled by an operator.
rule-already-sending = An attempt to send is under way; wait for its outcome.
rule-attempts-used-up = All allowed attempts were used without success.
rule-tenant-suspended = The account is suspended; sending goes on when it is active again.
rule-queue-paused = The queue is paused; resume it to go on sending.
rule-queue-scheduled = The queue is scheduled and its time has not come yet.
rule-business-hours = Outside business hours or a holiday; sending goes on at the next opening.
rule-instance-down = The WhatsApp number is not connected; connect it and sending goes on by itself.
rule-not-due = The next attempt for this contact is set for later.
rule-daily-cap = The number has reached its daily limit; sending goes on tomorrow.
rule-pacing = The contact waits its turn at the number's pace.

## Batches and their contacts

batch-body-too-large = The body is larger than { $limit } bytes. Split the contacts into batches, each with its own external_id.
batch-too-far-ahead = The date is more than a year ahead. Check the year.
batch-empty = The list is empty; send at least one contact.
batch-too-many-contacts = The batch has { $count } contacts; at most { $most } are accepted. Split it.
batch-template-unknown = There is no template "{ $name }" of type { $type }. Check its name and its type.
batch-template-default-missing = The batch names no "template", and there is no default for type { $type }. Name one, or import one with `regua template import`: the first of each type becomes its default.
batch-schema-too-costly = Checking the contacts against the JSON Schema of the template "{ $name }" takes too long. Nothing was stored. Simplify the schema: fewer patterns, references and alternatives.
batch-instance-unknown = There is no instance "{ $name }". Check its name.
batch-instance-default-missing = The batch names no "instance", and there is no default for type { $type }. Name one, or add a number with `regua instance add`: the first becomes the default.
batch-conflict = The batch "{ $batch }" was accepted before with different contents, as queue { $queue }. For another batch, use another external_id.
batch-name-overdue = Collection { $batch }
batch-name-upcoming = Reminder { $batch }
batch-name-notification = Notice { $batch }
contact-not-an-object = The contact must be a valid JSON object.
contact-string = The field must be a string in quotes.
contact-bill-field-missing = The template uses "{ $name }". Send "{ $field }" with this contact.
contact-duplicate = An earlier contact of this batch has the same external_id; only the first is considered.
contact-landline = The number is a landline; the message arrives only if WhatsApp Business is installed on it.
contact-unknown-field = There is no such field; it is ignored in this contact and in the others.
contact-not-unconfirmed = The contact is "{ $status }"; only an "unconfirmed" contact waits for a decision.
contact-queue-cancelled = The queue was cancelled; nothing more is sent through it. Post the contact in another batch.
contact-data-erased = This contact's data was erased; there is nothing to send.
queue-final = The queue is "{ $status }", which is final; the action "{ $action }" no longer applies.

## Login and password

password-wrong = The current password is wrong.
password-too-short = Use at least 12 characters.
password-too-long = Use at most 128 characters.
password-too-easy = The password is easy to guess: use neither your name nor sequences nor common passwords.
totp-already-set = A second factor is already set. Remove it with DELETE before you set up another.
totp-concurrent-change = Another request changed the user meanwhile. Repeat the request.
totp-not-begun = No second factor is being set up. Begin with POST at this address.
totp-wrong-code = The code is wrong. Check the telephone's clock and send the current code.

## The resources of a tenant

access-role-lacks-capability = The role "{ $role }" does not allow this. Ask an administrator of the account.
config-time-zone-unknown = There is no such time zone. Use a name such as America/Sao_Paulo or America/Manaus.
debtor-cursor = Send the next_cursor.
debtor-phone-or-external-id = Send either phone or external_id.
default-template-unknown = There is no such template of type { $type }.
default-instance-unknown = There is no such instance.
holiday-year = Send a year from 2000 to 2199.
holiday-too-many = There are { $most } closed days, the maximum. Delete those that have passed.
hours-overlap = This interval begins before another interval of the same day ends.
hours-malformed = Send an object like {"{"}"weekday": 1, "opens": "08:00", "closes": "18:00"{"}"}.
instance-name-invalid = Use 1 to 64 letters, digits, dots, hyphens and underscores.
instance-too-many = There are { $most } instances, the maximum.
instance-name-taken = The tenant already has an instance "{ $name }".
instance-token-required = Send the token with a new address: the present token is not sent to another server.
instance-in-use = The instance is the default of a type, or queues use it.
instance-of-another-tenant = Another tenant has the instance "{ $name }" of { $server }: an instance belongs to one tenant (docs/gateway.md).
instance-webhook-not-accepted = The gateway did not accept the webhook ({ $reason }). Repeat the request.
instance-public-url-invalid = Write the address with its scheme, such as https://regua.example.
instance-address-not-allowed = { $server } is not a public address: if the gateway is meant to be there, set GATEWAY_ALLOW_NETWORKS, here and for regua-api, regua-worker and regua-periodic, to a network that contains it
instance-address-invalid = Write an address such as https://evolution.acme.example, without credentials, query or fragment.
instance-name-not-in-path = The name cannot be part of a path.
instance-token-not-in-header = The token cannot be sent in a header.
instance-token-unreadable = The stored token cannot be read ({ $error }). Send it again as "token".
instance-unusable = { $name }: { $reason }
key-may-not-send = This key may not send messages of type { $type }; it may send: { $allowed }.
key-lacks-scope = This key lacks the scope { $scope }; it has: { $scopes }.
key-not-valid = The key is no longer valid. Create another.
key-too-many = There are { $most } keys, the maximum. Use or change one of them.
requests-above-ceiling = The most for this account is { $most } requests a minute. Only the platform changes this ceiling.
key-expiry-past = The date is in the past.
key-network-invalid = Write a network such as 203.0.113.0/24.
key-network-host-bits = { $text } is an address inside the network { $network }: write { $network } for the whole network, or { $address } for this address alone.
retention-proof-too-short = The proof must be stored for at least as long as the personal data.
template-too-many = There are { $most } templates, the maximum. Delete unused ones.
template-name-taken = There is already a template "{ $name }". Change it, or choose another name.
template-in-use = The template is the default of a type, or campaigns use it.
tenant-slug-invalid = Use 1 to 63 lower-case letters, digits and hyphens.
tenant-slug-taken = There is already a tenant "{ $slug }": choose another slug.
user-email-taken = There is already a user with the address { $email }.
user-last-owner = This is the last owner. Give another user the role "owner" first.
user-own-invitation = You cannot invite yourself: change the password at POST /api/v1/auth/password, or ask another owner.
user-too-many = There are { $most } users, the maximum.
user-email-invalid = Write an address such as maria@acme.example.

## Warnings about a phone number that was accepted

phone-decimal-zero = The phone number has decimals (.0), as in a spreadsheet's column of numbers, and was read without them: { $phone }. Check it, and format the column as text.
phone-neighbour-line = The field has a line and the end of its neighbour. The first was read: { $phone }. If the message is for the other, send its number alone.
phone-foreign = Because of the +, the phone number was read as a number abroad ({ $country }): { $phone }. If it is in Brazil, send { $national }.
phone-area-55 = The phone number was read with area code 55 (Rio Grande do Sul): { $phone }. If 55 is the country code of Brazil, the area code is missing: send area code and number. If the reading is right, send { $certain }, and this warning disappears.
phone-carrier = The phone number was read without the 0 and the carrier code { $carrier }: { $phone }. Check that it has no digit too many.

## Countries whose codes are Brazilian area codes too

country-1 = United States, Canada or Caribbean
country-7 = Russia or Kazakhstan
country-27 = South Africa
country-31 = Netherlands
country-32 = Belgium
country-33 = France
country-34 = Spain
country-41 = Switzerland
country-43 = Austria
country-44 = United Kingdom
country-45 = Denmark
country-46 = Sweden
country-47 = Norway
country-48 = Poland
country-49 = Germany
country-51 = Peru
country-53 = Cuba
country-54 = Argentina
country-61 = Australia
country-62 = Indonesia
country-63 = Philippines
country-64 = New Zealand
country-65 = Singapore
country-66 = Thailand
country-81 = Japan
country-82 = South Korea
country-84 = Vietnam
country-86 = China
country-91 = India
country-92 = Pakistan
country-93 = Afghanistan
country-94 = Sri Lanka
country-95 = Myanmar
country-98 = Iran
country-other = a code outside Brazil
