// A complete client of the identity gateway. docs/clients.md says how to run it and what it shows.

import com.google.gson.Gson
import com.google.protobuf.ByteString
import com.google.rpc.BadRequest
import com.google.rpc.ErrorInfo
import com.google.rpc.RetryInfo
import idgw.identity.v1.IdentityServiceGrpcKt.IdentityServiceCoroutineStub
import idgw.identity.v1.KenyaId.KenyaIdType
import idgw.identity.v1.VerificationOuterClass.Source
import idgw.identity.v1.VerificationOuterClass.Verification
import idgw.identity.v1.checkCurpRequest
import idgw.identity.v1.copy
import idgw.identity.v1.scrubKenyaIdRequest
import idgw.identity.v1.verifyPeForeignerIdRequest
import io.grpc.CallCredentials
import io.grpc.CallOptions
import io.grpc.Channel
import io.grpc.ClientCall
import io.grpc.ClientInterceptor
import io.grpc.CompositeChannelCredentials
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall
import io.grpc.Grpc
import io.grpc.InsecureChannelCredentials
import io.grpc.ManagedChannel
import io.grpc.Metadata
import io.grpc.MethodDescriptor
import io.grpc.Status
import io.grpc.StatusException
import io.grpc.TlsChannelCredentials
import io.grpc.protobuf.StatusProto
import io.grpc.stub.AbstractStub
import java.io.File
import java.io.IOException
import java.security.SecureRandom
import java.time.Instant
import java.util.HexFormat
import java.util.UUID
import java.util.concurrent.Executor
import java.util.concurrent.TimeUnit.MILLISECONDS
import java.util.concurrent.TimeUnit.SECONDS
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.runBlocking
import idgw.person.v1.PersonOuterClass.PersonView
import idgw.person.v1.PersonServiceGrpcKt.PersonServiceCoroutineStub
import idgw.person.v1.biometricData
import idgw.person.v1.createPersonRequest
import idgw.person.v1.getPersonRequest
import idgw.person.v1.person

/** Sends the token with each call. The file is read each time: tokens are renewed in place. */
private class BearerToken(private val file: File) : CallCredentials() {
    override fun applyRequestMetadata(call: RequestInfo, executor: Executor, applier: MetadataApplier) =
        executor.execute {
            try {
                val token = file.readText().trim()
                applier.apply(Metadata().apply { put(key("authorization"), "Bearer $token") })
            } catch (error: IOException) {
                applier.fail(Status.UNAUTHENTICATED.withCause(error))
            }
        }
}

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

/**
 * What the gateway sends at most (`server.max_response_bytes`). Libraries take 4 MiB unless told otherwise, which is too
 * little for images and documents.
 */
private const val LARGEST_REPLY = 16 shl 20

/** The service config. Without `waitForReady` calls fail at once while no gateway can be reached. */
private fun serviceConfig() =
    File(System.getenv("GATEWAY_SERVICE_CONFIG") ?: "../../deploy/client/service-config.json").readText()

/** A channel by the environment: TLS if there is a CA file, a token if there is a token file. */
private fun connect(traceId: String, address: String, serviceConfig: String): ManagedChannel {
    val caFile = System.getenv("GATEWAY_CA_FILE")
    val tokenFile = System.getenv("GATEWAY_TOKEN_FILE")
    require(caFile != null || tokenFile == null) {
        "GATEWAY_TOKEN_FILE needs GATEWAY_CA_FILE: a token is not sent in the clear"
    }
    val transport =
        if (caFile == null) InsecureChannelCredentials.create()
        else TlsChannelCredentials.newBuilder().trustManager(File(caFile)).build()
    val credentials =
        if (tokenFile == null) transport
        else CompositeChannelCredentials.create(transport, BearerToken(File(tokenFile)))
    @Suppress("UNCHECKED_CAST")
    val config = Gson().fromJson(serviceConfig, Map::class.java) as Map<String, *>
    return Grpc.newChannelBuilder(address, credentials)
        .defaultServiceConfig(config)
        .maxInboundMessageSize(LARGEST_REPLY)
        .intercept(TraceContext(traceId))
        .build()
}

/**
 * What an error says of itself: `CODE REASON`, who is to blame and what it cost, which fields, when to come again.
 */
private fun explain(error: StatusException): String {
    // A passed deadline has details only if the gateway's answer was quicker than the library's own clock.
    if (error.status.code == Status.Code.DEADLINE_EXCEEDED) return "${error.status.code}"
    // Without ErrorInfo it is not the gateway's: nobody says what it cost, or whether anything was sent.
    var (cause, fields, again) = listOf(" without ErrorInfo", "", "")
    for (detail in StatusProto.fromThrowable(error)?.detailsList.orEmpty()) {
        when {
            detail.`is`(ErrorInfo::class.java) -> {
                val info = detail.unpack(ErrorInfo::class.java)
                val known = info.metadataMap
                cause = " ${info.reason}" + (known["billing"]?.let { " by ${known["provider"]}, $it" } ?: "")
            }
            detail.`is`(BadRequest::class.java) -> {
                val names = detail.unpack(BadRequest::class.java).fieldViolationsList.map { it.field }
                fields = " in " + names.sorted().joinToString(", ")
            }
            detail.`is`(RetryInfo::class.java) ->
                again = ", again after ${detail.unpack(RetryInfo::class.java).retryDelay.seconds} s"
        }
    }
    return "${error.status.code}$cause$fields$again"
}

/** As long as the gateway itself gives a call that names no deadline. */
private val LONGEST = 30.seconds

/** The attempts of a call of which the gateway did not say how long its answer can be had. */
private const val ATTEMPTS = 5

/**
 * Makes a call whose request has a `request_id`, and again with twice the time whenever its deadline has passed. It is
 * the same call for the gateway: what was paid for is not paid for again. [late] is told of each error that is not the
 * last. When the answer cannot be had any more, or the call has failed otherwise, that error is thrown.
 */
private suspend fun <S : AbstractStub<S>, A> S.untilAnswered(
    limit: Duration,
    late: (StatusException) -> Unit,
    call: suspend S.() -> A,
): A {
    var until: Instant? = null
    var time = limit
    var attempt = 1
    while (true) {
        try {
            return withDeadlineAfter(time.inWholeMilliseconds, MILLISECONDS).call()
        } catch (error: StatusException) {
            if (error.status.code != Status.Code.DEADLINE_EXCEEDED) throw error
            val details = StatusProto.fromThrowable(error)?.detailsList.orEmpty()
            val info = details.firstOrNull { it.`is`(ErrorInfo::class.java) }?.unpack(ErrorInfo::class.java)
            // The provider's time has passed, and not this call's: there will be no answer.
            if (info != null && info.reason != "DEADLINE_EXCEEDED") throw error
            // `until` is not known if the library's own clock was quicker, nor if nothing was sent to the provider.
            info?.metadataMap?.get("recoverable_until")?.let { until = Instant.parse(it) }
            if (until?.let { Instant.now() >= it } ?: (attempt == ATTEMPTS)) throw error
            late(error)
        }
        time = minOf(time * 2, LONGEST)
        attempt++
    }
}

/** Whether an earlier call has paid for the answer. It was there already, or still on its way to that call. */
private fun isRecovered(verification: Verification) =
    verification.source == Source.SOURCE_RECOVERED || verification.source == Source.SOURCE_COALESCED

/** A `request_id`: one for each question, kept for as long as it is asked again. */
private fun newId() = UUID.randomUUID().toString()

/** Makes a call that must fail; its explanation. */
private suspend fun refused(call: suspend () -> Any): String {
    try {
        call()
    } catch (error: StatusException) {
        return explain(error)
    }
    error("the call should have been refused")
}

private suspend fun run(channel: ManagedChannel) {
    // A deadline counts from the moment when it is set: each call takes a stub with its own.
    val identities = IdentityServiceCoroutineStub(channel)
    val persons = PersonServiceCoroutineStub(channel)

    // A verification. The answer says what was found, who said it, and what it cost.
    val known = checkCurpRequest { curp = "RAZR811011HVZXPB01"; requestId = newId() }
    val answer = identities.withDeadlineAfter(10, SECONDS).checkCurp(known)
    with(answer.verification) { println("found: $outcome by $provider, $billing, ${answer.record.status}") }

    // Nobody by that number: a successful call, not an error.
    val kenyan = scrubKenyaIdRequest {
        id = "00000000"
        idType = KenyaIdType.KENYA_ID_TYPE_NATIONAL_ID
        subjectConsent = true
        requestId = newId()
    }
    val nobody = identities.withDeadlineAfter(10, SECONDS).scrubKenyaId(kenyan).verification
    println("nobody: ${nobody.outcome} by ${nobody.provider}")

    // Errors, read by their details. The message is for people; programs go by code and reason. These calls set no
    // deadline: the service config has one for each.
    val bad = verifyPeForeignerIdRequest { documentNumber = "?"; birthdate = "2999-01-01"; requestId = newId() }
    println("bad request: " + refused { identities.verifyPeForeignerId(bad) })
    val noConsent = kenyan.copy { subjectConsent = false; requestId = newId() }
    println("no consent: " + refused { identities.scrubKenyaId(noConsent) })
    val down = checkCurpRequest { curp = "DOWN900101HDFSND09"; requestId = newId() }
    println("provider down: " + refused { identities.checkCurp(down) })

    // A registry that takes longer than the call may: the same call again gets what the first one has paid for.
    val slow = kenyan.copy { id = "900002001"; requestId = newId() }
    val errors = mutableListOf<StatusException>()
    val late = identities.untilAnswered(1.seconds, errors::add) { scrubKenyaId(slow) }.verification
    val paidFor = if (isRecovered(late)) "recovered" else "asked again"
    println("too slow: ${explain(errors.first())}, then ${late.outcome}, $paidFor")

    // A create can be sent again with its request_id: it returns the first answer.
    val create = createPersonRequest {
        person = person {
            givenName = "Grace"
            familyName = "Muster"
            biometricData = biometricData { faceImage = ByteString.copyFrom(ByteArray(5 shl 20)) }
        }
        requestId = newId()
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

    val limited = checkCurpRequest { curp = "MUCH900101HDFSND01"; requestId = newId() }
    println("rate limit: " + refused { identities.checkCurp(limited) })
}

/**
 * No gateway at all. Nothing has left here, but the library says the same of a connection that broke after the request was
 * sent: so it is asked again with the same request_id, which never pays twice.
 */
private suspend fun runWithoutGateway(nowhere: ManagedChannel) {
    val identities = IdentityServiceCoroutineStub(nowhere).withDeadlineAfter(10, SECONDS)
    val known = checkCurpRequest { curp = "RAZR811011HVZXPB01"; requestId = newId() }
    println("gateway down: " + refused { identities.checkCurp(known) })
}

fun main() {
    val traceId = System.getenv("TRACEPARENT")?.split("-")?.get(1) ?: randomHex(16)
    println("trace: $traceId")
    val config = serviceConfig()
    val channel = connect(traceId, System.getenv("GATEWAY_ADDRESS") ?: "localhost:50051", config)
    val nowhere = connect(traceId, "localhost:1", config.replace("\"waitForReady\": true", "\"waitForReady\": false"))
    try {
        runBlocking { run(channel); runWithoutGateway(nowhere) }
    } finally {
        channel.shutdownNow().awaitTermination(5, SECONDS)
        nowhere.shutdownNow().awaitTermination(5, SECONDS)
    }
}
