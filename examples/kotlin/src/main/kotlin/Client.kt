// A complete client of the identity gateway. docs/clients.md says how to run it and what it shows.

import com.google.protobuf.ByteString
import idgw.client.Calls.newRequestId
import idgw.client.Gateway
import idgw.client.GatewayException
import idgw.client.typed
import idgw.client.untilAnswered
import idgw.identity.v1.IdentityServiceGrpcKt.IdentityServiceCoroutineStub
import idgw.identity.v1.KenyaIdType
import idgw.identity.v1.Source
import idgw.identity.v1.Verification
import idgw.identity.v1.checkCurpRequest
import idgw.identity.v1.copy
import idgw.identity.v1.scrubKenyaIdRequest
import idgw.identity.v1.verifyPeForeignerIdRequest
import idgw.person.v1.PersonServiceGrpcKt.PersonServiceCoroutineStub
import idgw.person.v1.PersonView
import idgw.person.v1.biometricData
import idgw.person.v1.createPersonRequest
import idgw.person.v1.getPersonRequest
import idgw.person.v1.person
import io.grpc.CallOptions
import io.grpc.Channel
import io.grpc.ClientCall
import io.grpc.ClientInterceptor
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall
import io.grpc.ManagedChannel
import io.grpc.Metadata
import io.grpc.MethodDescriptor
import io.grpc.Status
import java.io.File
import java.security.SecureRandom
import java.util.HexFormat
import java.util.concurrent.TimeUnit.SECONDS
import kotlin.io.path.Path
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.runBlocking

/**
 * Sends W3C trace context: each call is a span of its own in one trace. With OpenTelemetry in the program, use its
 * gRPC instrumentation instead.
 */
private class TraceContext(private val traceId: String) : ClientInterceptor {
    override fun <Q, A> interceptCall(method: MethodDescriptor<Q, A>, options: CallOptions, next: Channel) =
        object : SimpleForwardingClientCall<Q, A>(next.newCall(method, options)) {
            override fun start(listener: ClientCall.Listener<A>, headers: Metadata) {
                headers.put(key("traceparent"), "00-$traceId-${randomHex(8)}-01")
                super.start(listener, headers)
            }
        }
}

private fun key(name: String) = Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER)

private fun randomHex(bytes: Int): String =
    HexFormat.of().formatHex(ByteArray(bytes).also { SecureRandom().nextBytes(it) })

/** The service config: the package's, or another one. */
private fun serviceConfig() = System.getenv("GATEWAY_SERVICE_CONFIG")?.let { File(it).readText() } ?: Gateway.SERVICE_CONFIG

/** A channel by the environment: TLS if there is a CA file, a token if there is a token file. */
private fun connect(traceId: String, gateway: Gateway): ManagedChannel {
    val caFile = System.getenv("GATEWAY_CA_FILE")
    if (caFile == null) gateway.plaintext() else gateway.caFile(Path(caFile))
    System.getenv("GATEWAY_TOKEN_FILE")?.let { gateway.token(Gateway.tokenFile(Path(it))) }
    return gateway.channel().intercept(TraceContext(traceId)).build()
}

/**
 * What an error says of itself: `CODE REASON`, who is to blame and what it cost, which fields, when to come again.
 */
private fun explain(error: GatewayException): String {
    // A passed deadline has details only if the gateway's answer was quicker than the library's own clock.
    if (error.code() == Status.Code.DEADLINE_EXCEEDED) return "${error.code()}"
    // Without a reason it is not the gateway's: nobody says what it cost, or whether anything was sent.
    var text = "${error.code()} " + error.reason().ifEmpty { "without ErrorInfo" }
    if ("billing" in error.metadata()) text += " by ${error.metadata()["provider"]}, ${error.billing()}"
    val fields = error.violations().map { it.field }.sorted()
    if (fields.isNotEmpty()) text += " in " + fields.joinToString(", ")
    return text + error.retryAfter().map { ", again after ${it.toSeconds()} s" }.orElse("")
}

/** Whether an earlier call has paid for the answer. It was there already, or still on its way to that call. */
private fun isRecovered(verification: Verification) =
    verification.source == Source.SOURCE_RECOVERED || verification.source == Source.SOURCE_COALESCED

/** Makes a call that must fail; its explanation. */
private suspend fun refused(call: suspend () -> Any): String {
    try {
        typed(call)
    } catch (error: GatewayException) {
        return explain(error)
    }
    error("the call should have been refused")
}

private suspend fun run(channel: ManagedChannel) {
    // A deadline counts from the moment when it is set: each call takes a stub with its own.
    val identities = IdentityServiceCoroutineStub(channel)
    val persons = PersonServiceCoroutineStub(channel)

    // A verification. The answer says what was found, who said it, and what it cost.
    val known = checkCurpRequest { curp = "RAZR811011HVZXPB01"; requestId = newRequestId() }
    val answer = identities.withDeadlineAfter(10, SECONDS).checkCurp(known)
    with(answer.verification) { println("found: $outcome by $provider, $billing, ${answer.record.status}") }

    // Nobody by that number: a successful call, not an error.
    val kenyan = scrubKenyaIdRequest {
        id = "00000000"
        idType = KenyaIdType.KENYA_ID_TYPE_NATIONAL_ID
        subjectConsent = true
        requestId = newRequestId()
    }
    val nobody = identities.withDeadlineAfter(10, SECONDS).scrubKenyaId(kenyan).verification
    println("nobody: ${nobody.outcome} by ${nobody.provider}")

    // Errors, read by their details. The message is for people; programs go by code and reason. These calls set no
    // deadline: the service config has one for each.
    val bad = verifyPeForeignerIdRequest { documentNumber = "?"; birthdate = "2999-01-01"; requestId = newRequestId() }
    println("bad request: " + refused { identities.verifyPeForeignerId(bad) })
    val noConsent = kenyan.copy { subjectConsent = false; requestId = newRequestId() }
    println("no consent: " + refused { identities.scrubKenyaId(noConsent) })
    val down = checkCurpRequest { curp = "DOWN900101HDFSND09"; requestId = newRequestId() }
    println("provider down: " + refused { identities.checkCurp(down) })

    // A registry that takes longer than the call may: the same call again gets what the first one has paid for.
    val slow = kenyan.copy { id = "900002001"; requestId = newRequestId() }
    val errors = mutableListOf<GatewayException>()
    val late = identities.untilAnswered(slow, 1.seconds, errors::add) { scrubKenyaId(it) }.verification
    val paidFor = if (isRecovered(late)) "recovered" else "asked again"
    println("too slow: ${explain(errors.first())}, then ${late.outcome}, $paidFor")

    // A create can be sent again with its request_id: it returns the first answer.
    val create = createPersonRequest {
        person = person {
            givenName = "Grace"
            familyName = "Muster"
            biometricData = biometricData { faceImage = ByteString.copyFrom(ByteArray(5 shl 20)) }
        }
        requestId = newRequestId()
    }
    val first = persons.withDeadlineAfter(10, SECONDS).createPerson(create).person
    val again = persons.withDeadlineAfter(10, SECONDS).createPerson(create).person
    println("created: " + if (first.id == again.id) "once" else "twice")

    // A read is free: after UNAVAILABLE the library repeats it as the service config says.
    val byId = getPersonRequest { id = first.id; view = PersonView.PERSON_VIEW_FULL }
    val read = persons.withDeadlineAfter(10, SECONDS).getPerson(byId).person
    val image = read.biometricData.faceImage.size() shr 20
    println("read: ${read.givenName} ${read.verificationStatus}, an image of $image MiB")
    val failing = getPersonRequest { id = "person_outofservice" }
    println("read, provider down: " + refused { persons.getPerson(failing) })

    val limited = checkCurpRequest { curp = "MUCH900101HDFSND01"; requestId = newRequestId() }
    println("rate limit: " + refused { identities.checkCurp(limited) })
}

/**
 * No gateway at all. Nothing has left here, but the library says the same of a connection that broke after the request was
 * sent: so it is asked again with the same request_id, which never pays twice.
 */
private suspend fun runWithoutGateway(nowhere: ManagedChannel) {
    val identities = IdentityServiceCoroutineStub(nowhere).withDeadlineAfter(10, SECONDS)
    val known = checkCurpRequest { curp = "RAZR811011HVZXPB01"; requestId = newRequestId() }
    println("gateway down: " + refused { identities.checkCurp(known) })
}

fun main() {
    val traceId = System.getenv("TRACEPARENT")?.split("-")?.get(1) ?: randomHex(16)
    println("trace: $traceId")
    val config = serviceConfig()
    val address = System.getenv("GATEWAY_ADDRESS") ?: "localhost:50051"
    val channel = connect(traceId, Gateway.at(address).serviceConfig(config))
    val nowhere = connect(traceId, Gateway.at("localhost:1").serviceConfig(config).failFast())
    try {
        runBlocking { run(channel); runWithoutGateway(nowhere) }
    } finally {
        channel.shutdownNow().awaitTermination(5, SECONDS)
        nowhere.shutdownNow().awaitTermination(5, SECONDS)
    }
}
