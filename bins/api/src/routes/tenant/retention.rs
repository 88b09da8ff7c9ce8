//! How long a tenant's data is stored. `regua-periodic` erases it afterwards (docs/privacy.md).

use regua_store::retention::{self, Retention};

use crate::routes::kit::*;

pub(super) fn router() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(retention, replace_retention))
}

body! {
    struct RetentionRequest {
        personal_data_days: Number<1, 36_500>,
        proof_days: Number<1, 36_500>,
    }
}

/// How long data is stored.
#[utoipa::path(get, path = "/retention", responses((status = 200, description = "The retention", body = Retention)))]
async fn retention(access: Access<Read>) -> Answer<Retention> {
    access.read(async |conn| found(retention::get(conn, access.tenant_id).await?)).await.map(Json)
}

/// Sets how long data is stored. Data that is older is erased within minutes and cannot be restored.
#[utoipa::path(
    put, path = "/retention", request_body = Retention,
    responses((status = 200, description = "The changed retention", body = Retention))
)]
async fn replace_retention(access: Access<Administer>, mut body: Draft<RetentionRequest>) -> Answer<Retention> {
    if body.proof_days < body.personal_data_days {
        body.refuse("proof_days", "too_few", &Text::of("retention-proof-too-short"));
    }
    let RetentionRequest { personal_data_days, proof_days } = body.finish()?;
    let work = async |conn: &mut PgConnection, _| {
        let before = found(retention::get(conn, access.tenant_id).await?)?;
        let after = Retention { personal_data_days, proof_days };
        retention::put(conn, access.tenant_id, after).await?;
        Ok((before, after))
    };
    access.change("retention.updated", access.tenant_id, work).await.map(Json)
}
