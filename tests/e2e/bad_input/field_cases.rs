//! Values as ERPs and spreadsheets hold them, through the API: one line a case. The crate `domain` has the whole tables.

use regua_tests::{Client, TestUser};
use serde_json::{Value, json};

use super::{SEND, end_with_empty_tables, idle_fleet};

/// What becomes of a contact.
enum Right {
    /// It is accepted with this text and these warnings.
    Text(&'static str, &'static [&'static str]),
    /// It is rejected for this field with this code, and the message contains this.
    Refused(&'static str, &'static str, &'static str),
}

use Right::{Refused, Text};

const TEMPLATE: &str = "{{primeiro_nome}}|{{telefone}}|{{valor}}|{{vencimento}}|{{linha}}";

fn cases() -> Vec<(Value, Right)> {
    let phone = |phone: Value| json!({ "phone": phone });
    let same = "Maria|(11) 98888-7777|R$ 150,00|10/11/2026|";
    vec![
        (json!({}), Text(same, &[])),
        // Telephone numbers.
        (phone(json!("1198887777.0")), Text("Maria|(11) 99888-7777|R$ 150,00|10/11/2026|", &["phone_decimal_zero"])),
        (phone(json!("119.888.877-77")), Refused("phone", "phone_cpf", "CPF")),
        (phone(json!("+51 98888-7777")), Text("Maria|+51988887777|R$ 150,00|10/11/2026|", &["phone_foreign"])),
        (phone(json!("55988887777")), Text("Maria|(55) 98888-7777|R$ 150,00|10/11/2026|", &["phone_area_55"])),
        (phone(json!("\u{202a}+55 11 98888\u{2011}7777\u{202c}")), Text(same, &[])),
        (phone(json!("11988887777\t")), Text(same, &[])),
        (phone(json!("\u{200b}11988887777")), Text(same, &[])),
        (phone(json!("5511988887777@s.whatsapp.net")), Text(same, &[])),
        (phone(json!("tel:+5511988887777")), Text(same, &[])),
        (phone(json!(11_988_887_777_u64)), Text(same, &[])),
        (phone(json!("69385314111689@lid")), Refused("phone", "phone_lid", "")),
        (phone(json!("NULL")), Refused("phone", "required", "")),
        // Amounts.
        (json!({"amount": "150,00"}), Text(same, &[])),
        (json!({"amount": "R$ 1.234,56"}), Text("Maria|(11) 98888-7777|R$ 1.234,56|10/11/2026|", &[])),
        (json!({"amount": "150.0000"}), Text(same, &[])),
        (json!({"amount": "     150.00"}), Text(same, &[])),
        (json!({"amount": 150.1}), Text("Maria|(11) 98888-7777|R$ 150,10|10/11/2026|", &[])),
        (json!({"amount": "1.234"}), Refused("amount", "amount_ambiguous", "1234.00")),
        (json!({"amount": "149.99000000000001"}), Refused("amount", "amount_float_noise", "149.99")),
        (json!({"amount": "-50,00"}), Refused("amount", "amount_credit", "crédito")),
        // Dates.
        (json!({"due_date": "10/11/2026"}), Text(same, &[])),
        (json!({"due_date": "2026-11-10T00:00:00"}), Text(same, &[])),
        (json!({"due_date": "20261110"}), Text(same, &[])),
        (json!({"due_date": "2026-11-10 "}), Text(same, &[])),
        (json!({"due_date": "2026-12-05T03:00:00.000Z"}), Refused("due_date", "due_date_offset", "2026-12-05")),
        (json!({"due_date": "46361"}), Refused("due_date", "due_date_serial", "2026-12-05")),
        (json!({"due_date": "5/12/26"}), Refused("due_date", "due_date_two_digit_year", "2026-12-05")),
        // Names.
        (json!({"name": "NULL"}), Refused("name", "required", "")),
        (json!({"name": "MARIA DE SOUZA 12345678909"}), Text(same, &["name_number_left_out"])),
        (json!({"name": "12.345.678 MARIA DE SOUZA"}), Text(same, &["name_number_left_out"])),
        (json!({"name": "DA SILVA, MARIA"}), Text(same, &["name_turned"])),
        (json!({"name": "maria da silva"}), Text(same, &[])),
        (json!({"name": "Sra. MARIA LIMA"}), Text(same, &[])),
        (
            json!({"name": "SUPERMERCADO BOM PRECO"}),
            Text("SUPERMERCADO BOM PRECO|(11) 98888-7777|R$ 150,00|10/11/2026|", &[]),
        ),
        (json!({"name": "JoÃ£o da ConceiÃ§Ã£o"}), Text("João|(11) 98888-7777|R$ 150,00|10/11/2026|", &["name_mended"])),
        (json!({"name": "Jo\u{FFFD}o"}), Refused("name", "name_damaged", "")),
        // Variables.
        (json!({"variables": {"linha": "2,37934E+46"}}), Refused("variables.linha", "variable_damaged_number", "")),
        (json!({"variables": {"linha": "null"}}), Text(same, &[])),
        (json!({"variables": []}), Text(same, &[])),
        (json!({"external_id": "2,37934E+46"}), Refused("external_id", "damaged_number", "")),
    ]
}

/// The answer of a dry run with the template of the cases.
async fn dry_run(erp: &Client, contacts: &str) -> Value {
    let body = format!(r#"{{"external_id":"lote","template":"casos","dry_run":true,"contacts":{contacts}}}"#);
    let answer = erp.post_raw(SEND, "application/json", body.into_bytes()).await;
    assert_eq!(answer.status.as_u16(), 200, "{:#}", answer.body);
    answer.body
}

async fn create_template(fleet: &regua_tests::Fleet, tenant: &regua_tests::Tenant) {
    let owner = TestUser::logged_in(fleet, tenant, regua_domain::UserRole::Owner, "dona").await;
    let variation = TEMPLATE.replace("{{linha}}", "{{#if linha}}{{linha}}{{/if}}");
    let template = json!({"name": "casos", "type": "overdue", "variations": [variation]});
    let created = owner.post("/api/v1/admin/templates", &template).await;
    assert_eq!(created.status.as_u16(), 201, "{:#}", created.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_erps_and_spreadsheets_get_their_right_result() {
    let (fleet, tenant, erp) = idle_fleet().await;
    create_template(&fleet, &tenant).await;
    let (mut contacts, cases) = (Vec::new(), cases());
    for (index, (members, _)) in cases.iter().enumerate() {
        let mut contact = json!({
            "external_id": format!("NF-{index}"), "name": "Maria da Silva", "phone": "(11) 98888-7777",
            "due_date": "2026-11-10", "amount": "150.00",
        });
        contact.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        contacts.push(contact);
    }
    let answer = dry_run(&erp, &json!(contacts).to_string()).await;
    let of = |list: &str, index: usize| -> Vec<Value> {
        answer[list].as_array().unwrap().iter().filter(|item| item["index"] == index).cloned().collect()
    };
    for (index, (members, right)) in cases.into_iter().enumerate() {
        let (shown, rejected) = (of("contacts", index), of("rejected", index));
        let mut warnings = of("warnings", index);
        warnings.retain(|warning| warning["code"] != "frequent_warning");
        let warnings: Vec<_> = warnings.iter().map(|warning| warning["code"].as_str().unwrap()).collect();
        match right {
            Text(text, expected) => {
                assert!(rejected.is_empty(), "{members}: {rejected:?}");
                let sent = shown[0]["text"].as_str().unwrap();
                assert!(sent.starts_with(text), "{members}: {sent}");
                assert_eq!(warnings, expected, "{members}");
            }
            Refused(field, code, message) => {
                let refusal = rejected.first().unwrap_or_else(|| panic!("{members} was accepted: {shown:?}"));
                assert_eq!((&refusal["field"], &refusal["code"]), (&json!(field), &json!(code)), "{members}");
                assert!(refusal["message"].as_str().unwrap().contains(message), "{members}: {refusal:#}");
            }
        }
    }
    end_with_empty_tables(fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_number_in_a_variable_keeps_its_digits() {
    let (fleet, tenant, erp) = idle_fleet().await;
    create_template(&fleet, &tenant).await;
    let line = "34191790010104351004791020150008597730026000";
    let contact = |id: &str, line: &str| {
        format!(
            r#"{{"external_id":"{id}","name":"Maria","phone":"11988887777","due_date":"2026-11-10","amount":150.00,
                "variables":{{"linha":{line}}}}}"#
        )
    };
    let answer = dry_run(&erp, &format!("[{}]", contact("a", line))).await;
    let text = answer["contacts"][0]["text"].as_str().unwrap();
    assert!(text.contains(line), "{text}");
    end_with_empty_tables(fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blanks_after_an_id_do_not_make_another_batch_or_contact() {
    let (fleet, _, erp) = idle_fleet().await;
    let contact = |id: &str| json!({"external_id": id, "name": "Maria", "phone": "11988887777", "due_date": "2026-11-10", "amount": "150.00"});
    let batch = |id: &str| json!({"external_id": id, "contacts": [contact("NF-1"), contact("NF-1  ")]});
    let first = erp.send("overdue", &batch("LOTE-7")).await;
    assert_eq!((first.status.as_u16(), &first.body["accepted"]), (202, &json!(1)), "{:#}", first.body);
    assert_eq!(first.body["rejected"][0]["code"], "duplicate_external_id");
    let second = erp.send("overdue", &batch("LOTE-7   ")).await;
    assert_eq!((second.status.as_u16(), &second.body["replayed"]), (200, &json!(true)), "{:#}", second.body);
    assert_eq!(fleet.count("select count(*) from contacts").await, 1);
    fleet.end_unfinished().await;
}
