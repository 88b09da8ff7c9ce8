//! What programs may change of a contact: its text and its debtor are written once, and erased.

use regua_tests::{Fleet, FleetOptions, TenantOptions, batch};
use sqlx::AssertSqlSafe;

use super::try_statement;

const ERASED: &str = "name = '', phone = '', text = '', external_id = null, due_date = null, amount_cents = null,
                      variables = '{}', metadata = '{}', erasure_asked_at = now(), erased_at = now(), status = 'cancelled'";

#[tokio::test(flavor = "multi_thread")]
async fn text_and_debtor_of_a_contact_change_only_when_they_are_erased() {
    let options = FleetOptions { workers: 0, periodic: false, ..FleetOptions::default() };
    let (fleet, tenant, erp) = Fleet::with(options, TenantOptions::default()).await;
    erp.send_accepted("overdue", &batch("lote-a", 1)).await;
    for role in ["regua_fleet", "regua_api"] {
        let begin = format!("begin; set local role {role}; set local regua.tenant_id = '{}'", tenant.id);
        let mut transaction = fleet.database.pool.begin_with(AssertSqlSafe(begin)).await.unwrap();
        for forbidden in [
            "phone = '+5511999999999'",
            "text = 'Pague aqui: http://evil.example'",
            "name = 'Outra'",
            "external_id = 'outra'",
            "variables = '{\"a\": 1}'",
            "text = 'x', status = 'cancelled', erasure_asked_at = now()",
        ] {
            let tried = try_statement(&mut transaction, format!("update contacts set {forbidden}")).await;
            assert_eq!(tried, Err("23514".to_owned()), "{role}: {forbidden}");
        }
        for allowed in ["reason = 'x', updated_at = now()", ERASED] {
            let tried = try_statement(&mut transaction, format!("update contacts set {allowed}")).await;
            assert_eq!(tried, Ok(1), "{role}: {allowed}");
        }
        transaction.rollback().await.unwrap();
    }
    fleet.end_unfinished().await;
}
